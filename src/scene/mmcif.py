"""Atoms of open structures, where they stand in the scene, as an mmCIF file of a map's frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..session_types import AnyArray, Atoms, DoubleArray, Residues, Structure
    from .frames import MapFrame

SESSION_ROUNDING = 1e-4  # Å, beyond that of coordinates, which a session file keeps as float32

_COLUMNS = (
    "group_PDB",
    "id",
    "type_symbol",
    "label_atom_id",
    "label_alt_id",
    "label_comp_id",
    "label_asym_id",
    "label_entity_id",
    "label_seq_id",
    "pdbx_PDB_ins_code",
    "Cartn_x",
    "Cartn_y",
    "Cartn_z",
    "occupancy",
    "B_iso_or_equiv",
    "auth_seq_id",
    "auth_asym_id",
    "pdbx_PDB_model_num",
)
_QUOTED_AT_START = "_#$'\";[]"
_AT_A_TIME = 2000  # rows
_RESERVED = ("data_", "loop_", "save_", "stop_", "global_")


@dataclass(frozen=True)
class AtomTable:
    """What a model file needs, copied from the session, so that a thread can work it out.

    Parameters
    ----------
    atoms, residues : dict of str to array
        Columns of the file, one entry for each atom, or for each residue, as the session gives
        them.
    residue_of : array of int
        Place among the residues of each atom's.
    owners : array of int
        Which structure each residue belongs to.
    rows : _Rows
        Rows of the file.
    frame : MapFrame
    """

    atoms: dict[str, AnyArray]
    residues: dict[str, AnyArray]
    residue_of: AnyArray
    owners: AnyArray
    rows: _Rows
    frame: MapFrame

    def __len__(self) -> int:
        """Return the number of rows; an atom with two alternate locations has two."""
        return len(self.rows.index)

    def column(self, name: str) -> AnyArray:
        """Return one column, row by row, as text."""
        if name in self.residues:
            return np.char.strip(_text(self.residues[name]))[self._residue_rows]
        return np.char.strip(_text(self.atoms[name][self.rows.index]))

    @property
    def chains(self) -> AnyArray:
        """Chain identifiers, with a suffix where an earlier structure has the same one."""
        return _chain_names(self.residues["chains"], self.owners)[self._residue_rows]

    @property
    def polymer(self) -> AnyArray:
        """Whether each row belongs to a chain of a polymer."""
        return self.residues["polymer_types"][self._residue_rows] != 0

    @property
    def positions(self) -> DoubleArray:
        """Positions (n, 3) in the frame of the map, Å."""
        return self.frame.from_scene(self.rows.places)

    @property
    def _residue_rows(self) -> AnyArray:
        """Place among the residues of each row's."""
        return self.residue_of[self.rows.index]


def atom_table(atoms: Atoms, frame: MapFrame) -> AtomTable:
    """Copy what a model file needs from atoms of open structures; quick, on the main thread.

    Parameters
    ----------
    atoms : chimerax.atomic.Atoms
        Of one or several structures, each where it stands in the scene.
    frame : MapFrame
        The frame of the map that the file is for.

    Returns
    -------
    AtomTable
        Alternate locations in rows of their own, with their own occupancy.
    """
    residues, residue_of = residues_of(atoms)
    return AtomTable(
        dict(names=atoms.names, elements=_element_names(atoms)),
        dict(
            residue_names=residues.names,
            chains=residues.chain_ids,
            insertion_codes=residues.insertion_codes,
            numbers=np.array(residues.numbers),
            polymer_types=np.array(residues.polymer_types),
        ),
        residue_of,
        residues.structures.pointers,
        _with_alternates(atoms, residues, residue_of),
        frame,
    )


def residues_of(atoms: Atoms) -> tuple[Residues, AnyArray]:
    """Residues of atoms, each once, in the order of the atoms.

    What is asked of residues and structures costs ChimeraX a Python object for each that is asked,
    so it is asked of residues.

    Parameters
    ----------
    atoms : chimerax.atomic.Atoms

    Returns
    -------
    chimerax.atomic.Residues
    array of int
        Place among them of each atom's residue.
    """
    from chimerax.atomic import Residues

    different, first, place = np.unique(
        atoms.residues.pointers, return_index=True, return_inverse=True
    )
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order))
    return Residues(different[order]), rank[place]


def by_structure(atoms: Atoms) -> list[tuple[Structure, Atoms]]:
    """Pairs of a structure and its atoms among these; see `residues_of`."""
    residues, residue_of = residues_of(atoms)
    owners = residues.structures
    if len(owners.unique()) == 1:
        return [(owners[0], atoms)]
    return [
        (structure, atoms.filter((owners.pointers == pointer)[residue_of]))
        for structure, pointer in zip(owners.unique(), owners.unique().pointers, strict=True)
    ]


def write_atoms(path: Path, table: AtomTable) -> None:
    """Write an mmCIF file with coordinates to 1e-9 Å.

    Parameters
    ----------
    path : Path
    table : AtomTable
    """
    n = len(table)
    places = _decimals("%.9f", table.positions)
    elements, chains = table.column("elements"), _quoted(table.chains)
    columns = (
        np.where(table.polymer, "ATOM", "HETATM"),
        np.arange(1, n + 1).astype(str),
        _quoted(np.where(elements == "LP", "X", elements)),
        _quoted(table.column("names")),
        _quoted(table.rows.alt_locs, "."),
        _quoted(table.column("residue_names")),
        chains,
        np.full(n, "?"),
        np.full(n, "."),
        _quoted(table.column("insertion_codes"), "?"),
        places[:, 0],
        places[:, 1],
        places[:, 2],
        _decimals("%.6f", table.rows.occupancies),
        _decimals("%.6f", table.rows.b_iso),
        table.column("numbers"),
        chains,
        np.full(n, "1"),
    )
    head = "data_model\nloop_\n" + "".join(f"_atom_site.{name}\n" for name in _COLUMNS)
    with open(path, "w", encoding="utf-8") as file:
        file.write(head)
        file.writelines(" ".join(row) + "\n" for row in zip(*columns, strict=True))


def is_same_model(one: Path, other: Path) -> bool:
    """Test whether two files of `write_atoms` have the same atoms, but for rounding."""
    texts = [Path(path).read_text(encoding="utf-8").splitlines() for path in (one, other)]
    if len(texts[0]) != len(texts[1]):
        return False
    for pair in zip(*texts, strict=True):
        if pair[0] == pair[1]:
            continue
        words, others = (line.split(" ") for line in pair)
        if len(words) != len(others) or any(
            own != its and not _is_close(own, its) for own, its in zip(words, others, strict=True)
        ):
            return False
    return True


def _is_close(one: str, other: str) -> bool:
    """Test whether two words are decimals that differ by rounding only."""
    try:
        return "." in one and abs(float(one) - float(other)) < SESSION_ROUNDING
    except ValueError:
        return False


def _text(values: Sequence[str] | AnyArray) -> AnyArray:
    """Make an array of str, also if it is empty."""
    return np.array(values, dtype=str) if len(values) else np.zeros(0, dtype="U1")


def _decimals(form: str, values: DoubleArray) -> AnyArray:
    """Numbers as text, some at a time: numpy holds up the main thread while it formats."""
    parts = np.array_split(values, len(values) // _AT_A_TIME + 1)
    return np.concatenate([np.char.mod(form, part) for part in parts])


def _chain_names(chains: AnyArray, owners: AnyArray) -> AnyArray:
    """Chain identifiers, with a suffix where an earlier structure has the same one."""
    names = _text(chains).astype(object)
    taken: set[str] = set()
    for number, owner in enumerate(dict.fromkeys(owners.tolist()), start=1):
        mine = owners == owner
        own = set(names[mine])
        if own & taken:
            names[mine] = [f"{name}-{number}" for name in names[mine]]
        taken |= set(names[mine])
    return names.astype(str)


@dataclass(frozen=True)
class _Rows:
    """Rows of the file: which atom, and what differs between its alternate locations."""

    index: AnyArray
    alt_locs: AnyArray
    places: AnyArray
    occupancies: AnyArray
    b_iso: AnyArray


def _element_names(atoms: Atoms) -> AnyArray:
    """Symbols of the elements, each asked for once."""
    from chimerax.atomic import Element

    numbers, place = np.unique(atoms.element_numbers, return_inverse=True)
    return _text([Element.get_element(int(number)).name for number in numbers])[place]


def _scene_places(atoms: Atoms, residues: Residues, residue_of: AnyArray) -> AnyArray:
    """Coordinates in the scene, Å."""
    places, owners = np.array(atoms.coords), residues.structures
    for structure, pointer in zip(owners.unique(), owners.unique().pointers, strict=True):
        mine = (owners.pointers == pointer)[residue_of]
        places[mine] = structure.scene_position * places[mine]
    return places


def _with_alternates(atoms: Atoms, residues: Residues, residue_of: AnyArray) -> _Rows:
    """Make one row for each atom, and one for each of several alternate locations."""
    several = np.array(atoms.num_alt_locs) > 1
    single = np.flatnonzero(~several)
    columns = [
        [single],
        [np.full(len(single), "", dtype="U1")],
        [_scene_places(atoms, residues, residue_of)[single]],
        [atoms.occupancies[single]],
        [atoms.bfactors[single]],
    ]
    for place in np.flatnonzero(several):
        atom = atoms[int(place)]
        with atom.suppress_alt_loc_change_notifications():
            for location in atom.alt_locs:
                atom.alt_loc = location
                row = (
                    place,
                    location.strip(),
                    np.array(atom.scene_coord),
                    atom.occupancy,
                    atom.bfactor,
                )
                for column, value in zip(columns, row, strict=True):
                    column.append([value])
    index, *others = (np.concatenate(column) for column in columns)
    order = np.argsort(index, kind="stable")
    return _Rows(index[order], *(column[order] for column in others))


def _quoted(values: AnyArray, empty: str = "?") -> AnyArray:
    """Values as mmCIF writes them; each different one is looked at once."""
    different, index = np.unique(values, return_inverse=True)
    return _text([_quote(value, empty) for value in different])[index]


def _quote(value: str, empty: str) -> str:
    """Quote one value for mmCIF."""
    if not value:
        return empty
    plain = (
        not any(letter in value for letter in " \t'\"")
        and value not in (".", "?")
        and value[0] not in _QUOTED_AT_START
        and not value.lower().startswith(_RESERVED)
    )
    if plain:
        return value
    return f'"{value}"' if "'" in value else f"'{value}'"
