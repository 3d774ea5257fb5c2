"""The table of atoms of an mmCIF file, made complete and quick to read before gemmi reads it.

gemmi takes a table that lacks one of the columns of the archive for none, and looks through the
whole chain for every new residue.
"""

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import gemmi

from ..errors import InputError
from .elements import elements_of, symbol_without_charge

_PREFIX = "_atom_site."
_PIECE = 400  # residues of a chain that gemmi shall see at once
_LONG = 4 * _PIECE  # rows of a table that is worth it
_MANY_TURNS = 2000  # pieces of chains
_PAIRS = (
    ("label_atom_id", "auth_atom_id"),
    ("label_comp_id", "auth_comp_id"),
    ("auth_seq_id", "label_seq_id"),
)
_DEFAULTS = {"label_alt_id": ".", "occupancy": "1.00", "B_iso_or_equiv": "20.00"}

_Columns = dict[str, list[str]]  # by name without the prefix, values as they are written


def structure_of_block(block: gemmi.cif.Block, path: Path) -> gemmi.Structure:
    """Read the structure of a data block with atoms.

    Parameters
    ----------
    block : gemmi.cif.Block
        Its table of atoms is completed.
    path : Path
        For messages.

    Raises
    ------
    InputError
        If a column is missing that cannot be made up for.
    """
    loop = block.find_values(f"{_PREFIX}Cartn_x").get_loop()
    original: dict[str, str] = {}
    if loop is not None:
        _complete(block, loop, path)
        _bring_chains_together(block, loop)
        original = _cut_long_chains(block, loop)
    structure = gemmi.make_structure_from_block(block)
    for model in structure if original else ():
        for chain in model:
            chain.name = original.get(chain.name, chain.name)
    merge_chains(structure)
    return structure


def merge_chains(structure: gemmi.Structure) -> None:
    """Bring the parts of each chain together, where a chain is in parts: gemmi compares all."""
    if any(len({chain.name for chain in model}) < len(model) for model in structure):
        structure.merge_chain_parts()


def _complete(block: gemmi.cif.Block, loop: gemmi.cif.Loop, path: Path) -> None:
    """Add the columns that gemmi wants."""

    def column(name: str) -> list[str]:
        return list(block.find_values(_PREFIX + name))

    for name in ("Cartn_y", "Cartn_z"):
        if not column(name):
            raise InputError(_lacks(path, name))
    for name, other in _PAIRS:
        if not column(name):
            if not column(other):
                raise InputError(_lacks(path, name))
            _add(block, loop, name, column(other))
    count = loop.length()
    chains = column("auth_asym_id") or column("label_asym_id") or ["A"] * count
    for name in ("label_asym_id", "auth_asym_id"):
        if not column(name):
            _add(block, loop, name, chains)
    if not column("id"):
        _add(block, loop, "id", [str(i + 1) for i in range(count)])
    for name, value in _DEFAULTS.items():
        if not column(name):
            loop.add_columns([_PREFIX + name], value)
    _complete_symbols(block, loop, path)


def _complete_symbols(block: gemmi.cif.Block, loop: gemmi.cif.Loop, path: Path) -> None:
    """Find elements by the names of atoms if there are none; take charges off their symbols."""
    symbols = list(block.find_values(f"{_PREFIX}type_symbol"))
    if not symbols:
        atoms, residues = (
            [gemmi.cif.as_string(text) for text in block.find_values(_PREFIX + which)]
            for which in ("label_atom_id", "label_comp_id")
        )
        _add(block, loop, "type_symbol", elements_of(atoms, residues, path))
    else:
        clean = {text: symbol_without_charge(gemmi.cif.as_string(text)) for text in set(symbols)}
        if any(text != symbol for text, symbol in clean.items()):
            _set(block, "type_symbol", [clean[text] for text in symbols])


def _bring_chains_together(block: gemmi.cif.Block, loop: gemmi.cif.Loop) -> None:
    """Sort the rows by chain where these take turns: to gemmi each turn is a piece of a chain."""
    if loop.length() < _LONG:
        return
    chains = list(block.find_values(f"{_PREFIX}auth_asym_id"))
    models = list(block.find_values(f"{_PREFIX}pdbx_PDB_model_num")) or ["1"] * len(chains)
    keys = list(zip(models, chains, strict=True))
    turns = sum(1 for _ in groupby(keys))
    rank = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    if turns < _MANY_TURNS or turns == len(rank):
        return
    order = sorted(range(len(keys)), key=lambda i: rank[keys[i]])
    for tag in loop.tags:
        column = list(block.find_values(tag))
        _set(block, tag.removeprefix(_PREFIX), [column[i] for i in order])


def _cut_long_chains(block: gemmi.cif.Block, loop: gemmi.cif.Loop) -> dict[str, str]:
    """Give pieces of long chains names of their own; returns the name that each had."""
    if loop.length() < _LONG:
        return {}
    chains = list(block.find_values(f"{_PREFIX}auth_asym_id"))
    numbers = list(block.find_values(f"{_PREFIX}auth_seq_id"))
    original: dict[str, str] = {}
    new: list[str] = []
    for chain, rows in groupby(zip(chains, numbers, strict=True), key=lambda row: row[0]):
        name, seen = gemmi.cif.as_string(chain), 0
        for _, residue in groupby(rows, key=lambda row: row[1]):
            piece, seen = seen // _PIECE, seen + 1
            written = f"{name}\x1f{piece}" if piece else chain
            if piece:
                original[written] = name
            new += [written] * sum(1 for _ in residue)
    if original:
        _set(block, "auth_asym_id", new)
    return original


def _add(block: gemmi.cif.Block, loop: gemmi.cif.Loop, name: str, values: list[str]) -> None:
    """Add a column."""
    loop.add_columns([_PREFIX + name], ".")
    _set(block, name, values)


def _set(block: gemmi.cif.Block, name: str, values: list[str]) -> None:
    """Write other values into a column."""
    put: Callable[[int, str], None] = block.find_values(_PREFIX + name).__setitem__
    for i, value in enumerate(values):
        put(i, value)


def _lacks(path: Path, name: str) -> str:
    """Say which column is missing."""
    return (
        f"{path} has atoms without the column {_PREFIX}{name}. Write the file again with "
        "this column."
    )
