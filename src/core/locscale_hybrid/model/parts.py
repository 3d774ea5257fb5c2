"""The structures in the text of a model file, and one structure of several of them."""

import re
from pathlib import Path

import gemmi
import numpy as np

from ..errors import InputError
from ..findings import Finding
from .atom_site import merge_chains, structure_of_block
from .elements import pdb_with_elements

_NOT_BLANK = re.compile(r"\S")
_SAME_PLACE = 3.0  # Å, median distance between equal atoms of two conformers
_SHOWN = 8  # names in a message
_MOST_ATOMS = 0.5  # share of the atoms that two conformers have in common, at least


def structure_in(text: str, path: Path) -> tuple[gemmi.Structure, list[Finding]]:
    """Read the structure in a text, PDB or mmCIF by content.

    Models, data blocks, and what follows an END record, are parts of one structure unless they are
    conformers of the first.

    Parameters
    ----------
    text : str
    path : Path
        For messages.

    Raises
    ------
    InputError
        If the text is neither, damaged or without atoms.
    """
    try:
        if _begins_as_cif(text):
            return _from_cif(text, path)
        if _has_atom_record(text):
            return _from_pdb(text, path)
    except (RuntimeError, ValueError, IndexError, OverflowError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path} cannot be read as a model: {reason}; repair the file or write "
            "it again from ChimeraX or Coot"
        ) from None
    raise InputError(
        f"{path} is neither PDB nor mmCIF: it has no ATOM record and no data block; "
        "give an atomic model"
    )


def _begins_as_cif(text: str) -> bool:
    """Test whether a data block comes first, after blanks and comments."""
    place = 0
    while found := _NOT_BLANK.search(text, place):
        place = found.start()
        if text[place] != "#":
            return text[place : place + 5].lower() == "data_"
        place = text.find("\n", place)
        if place < 0:
            return False
    return False


def _has_atom_record(text: str) -> bool:
    """Test whether a line begins as an atom of the PDB format does."""
    return any(text.startswith(word) or f"\n{word}" in text for word in ("ATOM  ", "HETATM"))


def _from_cif(text: str, path: Path) -> tuple[gemmi.Structure, list[Finding]]:
    """Read the structure of all data blocks that have atoms."""
    document = gemmi.cif.read_string(text)
    blocks = [
        structure_of_block(block, path)
        for block in document
        if block.find_values("_atom_site.Cartn_x")
    ]
    if not blocks:
        raise InputError(
            f"{path} is a CIF file without atoms (no _atom_site.Cartn_x in "
            f"{len(document)} data blocks); give a model in mmCIF or PDB format"
        )
    parts = [part for block in blocks for part in _models_apart(block)]
    return _joined(parts, path.name, "data blocks" if len(blocks) > 1 else "models")


def _from_pdb(text: str, path: Path) -> tuple[gemmi.Structure, list[Finding]]:
    """Read the structure of a PDB file, of what follows an END record too."""
    text, count = pdb_with_elements(text, path)
    # letters beyond ASCII would be cut apart by the fixed columns
    files = [
        gemmi.read_pdb_string(part.encode("ascii", "replace").decode("ascii"))
        for part in _between_ends(text)
    ]
    parts = [part for file in files for part in _models_apart(file)]
    structure, findings = _joined(
        parts, path.name, "parts that END records separate" if len(files) > 1 else "models"
    )
    if count:
        findings.append(
            Finding(
                "elements-from-names",
                "note",
                f"{path.name} names no element for {count} atoms whose names begin in the wrong "
                "column. The elements were found from the names of atoms and residues.",
                {"atoms": count},
            )
        )
    return structure, findings


def _between_ends(text: str) -> list[str]:
    """Split a PDB file at END records into the parts that have atoms."""
    parts, begin, place = [], 0, 0
    while (place := text.find("\nEND", place)) >= 0:
        place += 4
        rest = text[place : place + 1]
        if not rest or rest.isspace():
            parts.append(text[begin:place])
            begin = place
    parts.append(text[begin:])
    return [part for part in parts if _has_atom_record(part)]


def _models_apart(structure: gemmi.Structure) -> list[gemmi.Structure]:
    """Make a structure for each of its models; metadata stay with the first."""
    others = []
    for index in range(len(structure) - 1, 0, -1):
        other = gemmi.Structure()
        other.add_model(structure[index].clone())
        others.append(other)
        del structure[index]
    return [structure, *reversed(others)]


def _joined(
    parts: list[gemmi.Structure], name: str, what: str
) -> tuple[gemmi.Structure, list[Finding]]:
    """Join several structures; conformers of the first are left out."""
    first = parts[0]
    if len(parts) == 1:
        return first, []
    others = [part for part in parts[1:] if len(part) and not are_conformers(first, part)]
    findings = []
    if len(others) < len(parts) - 1:
        count = len(parts) - len(others)
        findings.append(
            Finding(
                "several-models",
                "warning",
                f"{name} has {count} conformers of one model, as an ensemble does. The first is used; "
                "to use another one, give it in a file of its own.",
                {"models": count},
            )
        )
    taken = {chain.name: 1 for chain in first[0]} if others else {}
    renamed = [new for part in others for new in _add_chains(first, part, taken)]
    if others:
        more = ", …" if len(renamed) > _SHOWN else ""
        names = (
            f" Chains whose names were taken are now {', '.join(renamed[:_SHOWN])}{more}."
            if renamed
            else ""
        )
        findings.append(
            Finding(
                "several-parts",
                "note",
                f"{name} has {len(others) + 1} {what}, and the atoms of all "
                f"of them are used.{names}",
                {"parts": len(others) + 1},
            )
        )
    return first, findings


def are_conformers(one: gemmi.Structure, other: gemmi.Structure) -> bool:
    """Test whether two structures have mostly the same atoms at nearly the same places."""
    if not len(one) or not len(other):
        return False
    here, there = _places(one[0]), _places(other[0])
    common = [key for key in here if key in there]
    if not common or len(common) < _MOST_ATOMS * min(len(here), len(there)):
        return False
    apart = np.array([here[key] for key in common]) - np.array([there[key] for key in common])
    return float(np.median(np.linalg.norm(apart, axis=1))) < _SAME_PLACE


def _places(model: gemmi.Model) -> dict[tuple[int, str, str, str], list[float]]:
    """Return the position of each atom that is not hydrogen, by chain, residue and name."""
    return {
        (number, str(residue.seqid), residue.name, atom.name): atom.pos.tolist()
        for number, chain in enumerate(model)
        for residue in chain
        for atom in residue
        if not atom.is_hydrogen()
    }


def _add_chains(first: gemmi.Structure, part: gemmi.Structure, taken: dict[str, int]) -> list[str]:
    """Add the chains of a structure to the first model of another; returns the new names.

    `taken` has the names that chains have already, and how often each was wanted.
    """
    merge_chains(part)
    new: dict[str, str] = {}
    for chain in part[0]:
        name = chain.name
        while name in taken:
            taken[chain.name] += 1
            name = f"{chain.name}-{taken[chain.name]}"
        taken[name] = 1
        new[chain.name] = name
        for residue in chain:
            residue.subchain = ""  # those of another part may be the same
    for link in part.connections:
        for end in (link.partner1, link.partner2):
            end.chain_name = new.get(end.chain_name, end.chain_name)
        first.connections.append(link)
    for chain in part[0]:
        renamed = chain.clone()
        renamed.name = new[chain.name]
        first[0].add_chain(renamed)
    return [name for old, name in new.items() if name != old]
