"""Maps and models of a run that its processing folder keeps for whoever looks into it."""

from dataclasses import dataclass
from pathlib import Path

from .._version import __version__
from ..maps.grid import Map
from ..maps.mrc import MapFrame, write_map
from ..model.hybrid_model import HybridModel, write_hybrid


@dataclass(frozen=True)
class ProcessingFiles:
    """Writes intermediate maps and models into a folder, or nothing where there is none.

    Parameters
    ----------
    folder : Path, optional
    frame : MapFrame, optional
        Of the input.
    """

    folder: Path | None = None
    frame: MapFrame | None = None

    def keep_map(self, name: str, volume: Map) -> None:
        """Write ``<name>.mrc``.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        if self.folder is not None:
            labels = [f"locscale-hybrid {__version__}", f"{name.replace('_', ' ')} of a run"]
            write_map(self.folder / f"{name}.mrc", volume, frame=self.frame, labels=labels)

    def keep_model(self, name: str, hybrid: HybridModel, like: Map) -> None:
        """Write ``<name>.cif``, in the box of a map.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        if self.folder is not None and len(hybrid):
            write_hybrid(
                self.folder / f"{name}.cif",
                hybrid,
                grid=like.grid,
                provenance={"version": __version__},
            )
