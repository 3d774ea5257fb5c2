"""Elements of atoms whose file does not say them, or says them by the place of a letter.

In the PDB format the name " CA " is a carbon and "CA  " is calcium.  Programs that write all names
at the left, and leave out the columns of the element, make calcium of every alpha carbon.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import gemmi

from ..errors import InputError

# What atoms of amino acids and nucleotides may be.
POLYMER_ELEMENTS = frozenset(["H", "D", "C", "N", "O", "P", "S", "Se"])
_SELENIUM = frozenset(["MSE", "SEC", "MEN", "CSE"])
_WATERS = frozenset(["HOH", "DOD", "WAT", "SOL", "H2O", "TIP", "TIP3", "TIP4"])
# Element symbols that are also the start of many names of carbon, oxygen, … in ligands.
_DOUBTFUL = frozenset(
    [
        "Ca",
        "Cd",
        "Co",
        "Cr",
        "Cs",
        "Cu",
        "Hg",
        "In",
        "Ir",
        "Ni",
        "Os",
        "Pb",
        "Pd",
        "Pt",
        "Sb",
        "Se",
        "Si",
        "Sm",
        "Sn",
        "Yb",
    ]
)
_TWO_LETTERS = frozenset(["Cl", "Br", "Fe"])  # hardly ever anything else
_ONE_LETTER = frozenset("CNOSPHDFBI")
_LETTERS = re.compile(r"[0-9]*([A-Za-z]*)")
_SYMBOL = re.compile(r"[A-Za-z]{1,2}")
_SHOWN = 6


@lru_cache(maxsize=4096)
def is_polymer_residue(name: str) -> bool:
    """Test whether a component is an amino acid or a nucleotide."""
    found = gemmi.find_tabulated_residue(name)
    return bool(found.found() and (found.is_amino_acid() or found.is_nucleic_acid()))


@lru_cache(maxsize=65536)
def element_from_names(atom: str, residue: str) -> str | None:
    """Find the element that names mean in any column; None if that is unclear.

    Parameters
    ----------
    atom : str
        "CA"
    residue : str
        "ALA", or "CA" for the ion.
    """
    found = _LETTERS.match(atom.strip())
    letters = found[1].upper() if found else ""
    if not letters:
        return None
    two = _known(letters[:2]) if len(letters) > 1 else None
    if is_polymer_residue(residue) or residue in _WATERS:
        if two == "Se" and residue in _SELENIUM:
            return two
        return letters[0] if letters[0] in "CNOSPHD" else None
    component = _LETTERS.match(residue.strip())
    if component and component[1].upper() == letters and _known(letters):
        return _known(letters)  # an ion
    if two is not None:
        if two in _TWO_LETTERS or (letters[0] not in _ONE_LETTER and len(letters) == 2):
            return two
        if two in _DOUBTFUL and len(letters) == 2:
            return None
    if letters[0] in _ONE_LETTER or (len(letters) == 1 and _known(letters)):
        return letters[0]
    return None


def pdb_with_elements(text: str, path: Path) -> tuple[str, int]:
    """Fill in the element columns of a PDB file whose names do not say the elements.

    A file whose names are in the columns of the format is left as it is.

    Parameters
    ----------
    text : str
    path : Path
        For messages.

    Returns
    -------
    text : str
    count : int
        Atoms whose element was taken from names that are in the wrong column.

    Raises
    ------
    InputError
        If the element of an atom is unclear; with the numbers of the lines.
    """
    lines = text.split("\n")
    bare = [
        i
        for i, line in enumerate(lines)
        if line.startswith(("ATOM  ", "HETATM"))
        and not any(letter.isalpha() for letter in line[76:78])
    ]
    if not bare:
        return text, 0
    is_left = any(_is_left_of_its_column(lines[i]) for i in bare)
    doubtful, count = [], 0
    for i in bare:
        line = lines[i]
        name, residue = line[12:16], line[17:20].strip()
        at_left = name[:1].isalpha() and (name[3:4] != " " or is_left)
        if not at_left and not is_polymer_residue(residue):
            continue
        element = element_from_names(name, residue)
        if element is not None:
            lines[i] = f"{line.rstrip()[:76]:76}{element.upper():>2}"
            count += is_left and at_left
        elif at_left:
            doubtful.append((i + 1, name.strip(), residue))
    if doubtful:
        raise InputError(
            _unclear(
                path,
                [f"line {i}: {atom} of {residue}" for i, atom, residue in doubtful],
                "columns 77 and 78 of the file",
            )
        )
    return "\n".join(lines), count


def elements_of(atoms: Sequence[str], residues: Sequence[str], path: Path) -> list[str]:
    """Elements of atoms of an mmCIF file that has no column for them.

    Raises
    ------
    InputError
        If the element of an atom is unclear.
    """
    found = [element_from_names(*names) for names in zip(atoms, residues, strict=True)]
    unclear = dict.fromkeys(
        f"{atom} of {residue}"
        for atom, residue, element in zip(atoms, residues, found, strict=True)
        if element is None
    )
    if unclear:
        raise InputError(_unclear(path, list(unclear), "a column _atom_site.type_symbol"))
    return [element or "X" for element in found]


def symbol_without_charge(text: str) -> str:
    """Return the element symbol at the start of "O1-" or "FE+3"; the text itself if none."""
    found = _SYMBOL.match(text)
    if not found or found[0] == text:
        return text
    rest = text[len(found[0]) :]
    return found[0] if _known(found[0]) and not rest.strip("0123456789+-") else text


def _known(letters: str) -> str | None:
    """Return the symbol of an element, None if there is no such element."""
    if not 0 < len(letters) < 3:
        return None
    symbol = gemmi.Element(letters)
    return symbol.name if symbol.atomic_number and symbol.name.upper() == letters.upper() else None


def _is_left_of_its_column(line: str) -> bool:
    """Test whether a short name of a polymer atom begins where two-letter elements do."""
    name = line[12:16]
    return (
        name[:1].isalpha()
        and name[3:4] == " "
        and is_polymer_residue(line[17:20].strip())
        and len(element_from_names(name, line[17:20].strip()) or "XX") == 1
    )


def _unclear(path: Path, atoms: list[str], where: str) -> str:
    """Say whose element is unclear."""
    more = f" and {len(atoms) - _SHOWN} more" if len(atoms) > _SHOWN else ""
    number = "1 atom" if len(atoms) == 1 else f"{len(atoms)} atoms"
    return (
        f"{path}: the element of {number} is unclear ({'; '.join(atoms[:_SHOWN])}{more}). "
        f"Give the elements in {where}."
    )


def has_form_factor(atomic_number: int) -> bool:
    """Test whether electron scattering factors of the element are tabulated."""
    if not 0 < atomic_number < 119:
        return False
    return gemmi.Element(atomic_number).c4322 is not None
