"""Atoms of open structures, where they stand in the scene, as an mmCIF file of a map's frame."""

from dataclasses import dataclass

import numpy as np

_COLUMNS = ("group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id",
            "label_asym_id", "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code",
            "Cartn_x", "Cartn_y", "Cartn_z", "occupancy", "B_iso_or_equiv",
            "auth_seq_id", "auth_asym_id", "pdbx_PDB_model_num")
_QUOTED_AT_START = "_#$'\";[]"
_RESERVED = ("data_", "loop_", "save_", "stop_", "global_")


@dataclass(frozen=True)
class AtomTable:
    """Atoms to be written: arrays copied from the session, so that a thread can format them.

    Parameters
    ----------
    names, elements, alt_locs, residue_names, chains, insertion_codes : arrays of str, shape (n,)
        `chains` tells the structures apart where two use the same chain identifier.
    numbers : array of int, shape (n,)
    polymer : array of bool, shape (n,)
    positions : array, shape (n, 3)
        Å in the frame of the map, float64.
    occupancies, b_iso : arrays, shape (n,)
    """

    names: np.ndarray
    elements: np.ndarray
    alt_locs: np.ndarray
    residue_names: np.ndarray
    chains: np.ndarray
    insertion_codes: np.ndarray
    numbers: np.ndarray
    polymer: np.ndarray
    positions: np.ndarray
    occupancies: np.ndarray
    b_iso: np.ndarray

    def __len__(self):
        """Return the number of rows; an atom with two alternate locations has two."""
        return len(self.names)


def atom_table(atoms, frame):
    """Copy what a model file needs from atoms of open structures.

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
    residues = atoms.residues
    columns = dict(
        names=_text(atoms.names), elements=_text(atoms.element_names),
        residue_names=_text(residues.names), chains=_chain_names(residues),
        insertion_codes=np.char.strip(_text(residues.insertion_codes)),
        numbers=np.array(residues.numbers), polymer=np.array(residues.polymer_types) != 0)
    places = np.array(atoms.scene_coords, dtype=np.float64)
    rows, values = _with_alternates(atoms, places)
    table = {name: column[rows] for name, column in columns.items()}
    return AtomTable(**table, alt_locs=_text([value[0] for value in values]),
                     positions=frame.from_scene(np.array([value[1] for value in values])),
                     occupancies=np.array([value[2] for value in values]),
                     b_iso=np.array([value[3] for value in values]))


def write_atoms(path, table):
    """Write an mmCIF file with coordinates to 1e-9 Å.

    Parameters
    ----------
    path : Path
    table : AtomTable
    """
    n = len(table)
    places = np.char.mod("%.9f", table.positions)
    known = np.where(table.elements == "LP", "X", table.elements)
    columns = (
        np.where(table.polymer, "ATOM", "HETATM"), np.arange(1, n + 1).astype(str),
        _quoted(known), _quoted(table.names), _quoted(table.alt_locs, "."),
        _quoted(table.residue_names), _quoted(table.chains), np.full(n, "?"), np.full(n, "."),
        _quoted(table.insertion_codes, "?"), places[:, 0], places[:, 1], places[:, 2],
        np.char.mod("%.6f", table.occupancies), np.char.mod("%.6f", table.b_iso),
        table.numbers.astype(str), _quoted(table.chains), np.full(n, "1"))
    head = "data_model\nloop_\n" + "".join(f"_atom_site.{name}\n" for name in _COLUMNS)
    with open(path, "w", encoding="utf-8") as file:
        file.write(head)
        file.writelines(" ".join(row) + "\n" for row in zip(*columns, strict=True))


def _text(values):
    """An array of str, also where it is empty."""
    return np.array(values, dtype=str) if len(values) else np.zeros(0, dtype="U1")


def _chain_names(residues):
    """Chain identifiers, with a suffix where an earlier structure has the same one."""
    names = _text(residues.chain_ids).astype(object)
    structures = residues.structures
    taken = set()
    for number, structure in enumerate(residues.unique_structures, start=1):
        mine = np.array([owner is structure for owner in structures], dtype=bool)
        own = set(names[mine])
        if own & taken:
            names[mine] = [f"{name}-{number}" for name in names[mine]]
        taken |= set(names[mine])
    return names.astype(str)


def _with_alternates(atoms, places):
    """Row numbers and (alternate location, scene position, occupancy, B) of each row."""
    occupancies, b_factors = atoms.occupancies, atoms.bfactors
    several = np.array(atoms.num_alt_locs) > 1
    rows, values = [], []
    for index in range(len(atoms)):
        if not several[index]:
            rows.append(index)
            values.append(("", places[index], occupancies[index], b_factors[index]))
            continue
        atom = atoms[index]
        with atom.suppress_alt_loc_change_notifications():
            for location in atom.alt_locs:
                atom.alt_loc = location
                rows.append(index)
                values.append((location.strip(), np.array(atom.scene_coord), atom.occupancy,
                               atom.bfactor))
    return np.array(rows, dtype=int), values


def _quoted(values, empty="?"):
    """Values as mmCIF writes them; each different one is looked at once."""
    different, index = np.unique(values, return_inverse=True)
    return _text([_quote(value, empty) for value in different])[index]


def _quote(value, empty):
    """One value as mmCIF writes it."""
    if not value:
        return empty
    plain = (not any(letter in value for letter in " \t'\"") and value not in (".", "?")
             and value[0] not in _QUOTED_AT_START and not value.lower().startswith(_RESERVED))
    if plain:
        return value
    return f'"{value}"' if "'" in value else f"'{value}'"
