"""What the core wrote, read in the job's thread."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    import gemmi

    from ..job.request import Outcome
    from ..scene.handover import InputMap
    from ..session_types import DoubleArray, FloatArray, Json

MAP_ENDINGS = (".mrc", ".map", ".ccp4", ".mrc.gz", ".map.gz", ".ccp4.gz")
NOT_OPENED = ("map", "record", "report")


@dataclass
class LoadedMaps:
    """Values of the result and of what else was asked for.

    Parameters
    ----------
    values : array, float32, [z, y, x]
        The display map.
    level : float or None
        Contour level that encloses the same volume as that of the first map, or the atoms.
    input_level : float or None
        Level of the first map to compare with, if the user has set none.
    others : dict of str to array
        Further maps by kind: "linear", "half1", "localB", ...
    hybrid : HybridAtoms or None
        The hybrid model.
    is_model_edited : bool
        Whether the model of the run is not that of the file that it was opened from.
    """

    values: FloatArray
    level: float | None
    input_level: float | None = None
    others: dict[str, FloatArray] = field(default_factory=dict)
    hybrid: HybridAtoms | None = None
    is_model_edited: bool = False


@dataclass
class HybridAtoms:
    """The hybrid model in two parts.

    Parameters
    ----------
    model : Path or None
        mmCIF file with the atoms of the model and its symmetry copies.
    positions : array, shape (n, 3)
        Å, of the pseudo-atoms, in the frame of the map.
    b_iso, occupancies : arrays, shape (n,)
        Of the pseudo-atoms.
    sites : AtomSites or None
        Of the model, in the order of the file.
    """

    model: Path | None
    positions: DoubleArray
    b_iso: DoubleArray
    occupancies: DoubleArray
    sites: AtomSites | None = None


@dataclass
class AtomSites:
    """What an update changes of a model with the same atoms.

    Parameters
    ----------
    names : int
        Stands for the chains, residues and atoms in their order.
    positions : array, shape (n, 3)
        Å.
    b_iso, occupancies : arrays, shape (n,)
    """

    names: int
    positions: DoubleArray
    b_iso: DoubleArray
    occupancies: DoubleArray

    @classmethod
    def of(cls, structure: gemmi.Structure) -> AtomSites:
        """Take the sites of a gemmi structure."""
        sites = list(structure[0].all())
        names = hash(
            tuple(
                (site.chain.name, str(site.residue.seqid), site.residue.name, site.atom.name)
                for site in sites
            )
        )
        return cls(
            names,
            np.array([site.atom.pos.tolist() for site in sites]).reshape(-1, 3),
            np.array([site.atom.b_iso for site in sites]),
            np.array([site.atom.occ for site in sites]),
        )


# A contour that shows a protein encloses about this much for each atom: Å³, at these resolutions in
# Å.  Found with EMD-3488 at 3.4 Å (real) and beta-galactosidase at 7.4 Å (semi-synthetic halves), for
# one piece that holds nine of ten atoms.
_RESOLUTIONS, _VOLUMES_OF_ATOM = (3.0, 7.0), (8.0, 16.0)
_LARGEST_SHARE = 0.6  # of the mask
# ChimeraX's own level encloses 1 % of the voxels, which leaves crumbs of a particle in a large box.
_DEFAULT_SHARE = (0.009, 0.011)


def load_maps(
    outcome: Outcome, wanted: Collection[str], folder: Path, first: InputMap | None = None
) -> LoadedMaps:
    """Read the maps of a finished run.

    Parameters
    ----------
    outcome : job.Outcome
    wanted : collection of str
        Kinds of output that were asked for; others are not read.
    folder : Path
        For a file in between.
    first : InputMap, optional
        The first map.

    Returns
    -------
    LoadedMaps
    """
    from locscale_hybrid.maps.contour import level_enclosing

    event = outcome.result or {}
    values = _values(event["map"])
    enclosed = outcome.enclosed
    is_default = has_default_level(enclosed, values.size)
    if is_default:
        enclosed = voxels_of_atoms(event.get("record"), values.size) or enclosed
    loaded = LoadedMaps(values, None if enclosed is None else level_enclosing(values, enclosed))
    if is_default and first is not None and enclosed is not None:
        loaded.input_level = level_enclosing(first.read(), enclosed)
    for kind, path in result_files(event).items():
        if kind in NOT_OPENED or (kind == "linear" and "linear" not in wanted):
            continue
        if path.name.lower().endswith(MAP_ENDINGS):
            loaded.others[kind] = _values(path)
        elif path.suffix.lower() in (".cif", ".mmcif"):
            loaded.hybrid = _split(path, folder)
    return loaded


def has_default_level(enclosed: int | None, size: int) -> bool:
    """Test whether a contour around so many voxels is ChimeraX's first one."""
    low, high = _DEFAULT_SHARE
    return enclosed is not None and low <= enclosed / size <= high


def voxels_of_atoms(path: str | None, size: int) -> int | None:
    """Count the voxels that a contour around the hybrid model encloses; None if unknown.

    Parameters
    ----------
    path : str or None
        The record of the run.
    size : int
        Number of voxels of the map.
    """
    if not path or not os.path.isfile(path):
        return None
    record = json.loads(Path(path).read_text(encoding="utf-8"))
    model, mask = record.get("hybrid_model") or {}, record.get("mask") or {}
    voxel = (record.get("observed") or {}).get("voxel_size_angstrom")
    atoms = sum(model.get(f"{kind}_atoms", 0) for kind in ("model", "copied", "pseudo"))
    volume = mask.get("volume_cubic_angstrom", 0.0)
    if (record.get("parameters") or {}).get("region") or not atoms or not volume or not voxel:
        return None
    d_min = (record.get("resolution") or {}).get("d_min_angstrom", _RESOLUTIONS[0])
    volume_of_atom = float(np.interp(d_min, _RESOLUTIONS, _VOLUMES_OF_ATOM))
    enclosed = min(volume_of_atom * atoms, _LARGEST_SHARE * volume)
    return int(np.clip(enclosed / np.prod(voxel), 1, size - 1))


def result_files(event: Json) -> dict[str, Path]:
    """Files named in the result event, by kind; one level of nesting is followed."""
    files: dict[str, Path] = {}
    for kind, value in event.items():
        if isinstance(value, dict):
            files.update(result_files(value))
        elif isinstance(value, str) and os.path.isabs(value) and os.path.isfile(value):
            files[kind] = Path(value)
    return files


def _split(path: Path, folder: Path) -> HybridAtoms:
    """Split the hybrid model into a file without pseudo-atoms, and the pseudo-atoms as arrays.

    ChimeraX would ask the network for a template of their residue.
    """
    import gemmi

    from locscale_hybrid.model.structure import PSEUDO_RESIDUE_NAME

    structure = gemmi.read_structure(str(path))
    pseudo = [site.atom for site in structure[0].all() if site.residue.name == PSEUDO_RESIDUE_NAME]
    positions = np.array([atom.pos.tolist() for atom in pseudo]).reshape(-1, 3)
    b_iso, occupancies = (
        np.array([getattr(atom, name) for atom in pseudo]) for name in ("b_iso", "occ")
    )
    for chain in structure[0]:
        for place in reversed(range(len(chain))):
            if chain[place].name == PSEUDO_RESIDUE_NAME:
                del chain[place]
    structure.remove_empty_chains()
    if structure[0].count_atom_sites() == 0:
        return HybridAtoms(None, positions, b_iso, occupancies)
    rest = folder / "model.cif"
    structure.make_mmcif_document().write_file(str(rest))
    return HybridAtoms(rest, positions, b_iso, occupancies, AtomSites.of(structure))


def _values(path: str | Path) -> FloatArray:
    """Values of a map file; a copy, since the file may go."""
    from locscale_hybrid.maps.mrc import read_map

    return np.array(read_map(path).values)
