"""What a person may want to see of the stages, in the processing folder as soon as it is there."""

from dataclasses import dataclass
from pathlib import Path

from . import __version__
from .hybrid_model import HybridModel, write_hybrid
from .maps import Map
from .mrc import MapFrame
from .report import write_maps


@dataclass(frozen=True)
class ProcessingFiles:
    """Writes intermediate maps and models into a folder, or nothing where there is none.

    Parameters
    ----------
    folder : Path, optional
    frame : MapFrame
        Of the input.
    """

    folder: Path | None
    frame: MapFrame

    def keep_map(self, name: str, volume: Map) -> None:
        """Write ``<name>.mrc``.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        if self.folder is not None:
            write_maps({self.folder / f"{name}.mrc": volume}, self.frame,
                       [f"locscale-hybrid {__version__}", f"{name.replace('_', ' ')} of a run"])

    def keep_model(self, name: str, hybrid: HybridModel, like: Map) -> None:
        """Write ``<name>.cif``, in the box of a map.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        if self.folder is not None and len(hybrid):
            write_hybrid(self.folder / f"{name}.cif", hybrid, grid=like.grid,
                         provenance={"version": __version__})
