"""Elements that a file does not say; expected values are gemmi's for the file as it should be."""

from pathlib import Path

import gemmi
import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.model.elements import element_from_names, symbol_without_charge
from locscale_hybrid.model.structure import model_of, read_model

DATA = Path(__file__).parents[1] / "data"
EXAMPLES = Path(__file__).parents[2] / "examples" / "data"


def real_pdb():
    """Haemoglobin (5ni1), real, with haem and water, as a PDB text."""
    structure = gemmi.read_structure(str(EXAMPLES / "5ni1.cif.gz"))
    structure.setup_entities()
    return structure, structure.make_pdb_string()


def at_left(text, *, elements=False):
    """The text with all names of atoms at the left, as some programs write them."""
    lines = []
    for line in text.splitlines():
        if line.startswith(("ATOM  ", "HETATM")):
            line = line[:12] + line[12:16].strip().ljust(4) + line[16:]
            line = line if elements else line[:66]
        lines.append(line)
    return "\n".join(lines) + "\n"


def test_names_at_the_left_without_elements_give_the_elements_of_the_plain_file(tmp_path):
    # of this real file gemmi alone makes 574 Ca, 105 Cd, 52 Ce, … and 8 Na of the haems' nitrogens
    structure, text = real_pdb()
    path = tmp_path / "model.pdb"
    path.write_text(at_left(text))
    model = read_model(path)
    expected = [site.atom.element.name for site in structure[0].all()]
    assert model.elements.tolist() == [name for name in expected if name not in ("H", "D")]
    told = [f.message for f in model.findings if f.code == "elements-from-names"]
    assert "names no element for 4579 atoms whose names begin in the wrong column" in told[0]


@pytest.mark.parametrize("text", [real_pdb()[1], at_left(real_pdb()[1], elements=True)])
def test_elements_of_the_columns_are_believed(tmp_path, text):
    path = tmp_path / "model.pdb"
    path.write_text(text)
    model = read_model(path)
    assert (model.elements == "Fe").sum() == 4
    assert not set(model.elements) - {"C", "N", "O", "S", "Fe"}
    assert [finding.code for finding in model.findings] == []


def test_names_in_their_columns_need_no_elements(tmp_path):
    text = "\n".join(line[:66] for line in real_pdb()[1].splitlines()) + "\n"
    path = tmp_path / "model.pdb"
    path.write_text(text)
    model = read_model(path)
    assert (model.elements == "Fe").sum() == 4
    assert set(model.elements) == {"C", "N", "O", "S", "Fe"}
    assert [finding.code for finding in model.findings] == []


LINE = "{}{:5d} {:4s} {:3s} A{:4d}    {:8.3f}   2.000   3.000  1.00 20.00\n"


def test_element_that_names_do_not_tell_is_refused_with_its_line(tmp_path):
    path = tmp_path / "model.pdb"
    path.write_text(
        LINE.format("ATOM  ", 1, "CA", "ALA", 1, 1)
        + "REMARK\n"
        + LINE.format("HETATM", 2, "CD", "LIG", 2, 5)
        + LINE.format("HETATM", 3, "HG", "LIG", 2, 9)
    )
    with pytest.raises(
        InputError,
        match=r"the element of 2 atoms is unclear \(line 3: CD of LIG; "
        r"line 4: HG of LIG\)\. Give the elements in columns 77 and 78",
    ):
        read_model(path)


def test_ions_and_atoms_of_one_meaning_are_understood_beside_names_at_the_left(tmp_path):
    atoms = [
        ("ATOM  ", "CA", "ALA"),
        ("HETATM", "CA", "CA"),
        ("HETATM", "ZN", "ZN"),
        ("HETATM", "CL", "CL"),
        ("HETATM", "C10", "LIG"),
        ("HETATM", "OAC", "LIG"),
        ("HETATM", "CLAD", "LIG"),
        ("HETATM", "FE", "HEM"),
        ("HETATM", "NA", "HEM"),
        ("HETATM", "CAA1", "LIG"),
        ("HETATM", "NA", "NA"),
        ("HETATM", "O", "HOH"),
    ]
    path = tmp_path / "model.pdb"
    path.write_text(
        "".join(
            LINE.format(kind, i, name, residue, i, 5 * i)
            for i, (kind, name, residue) in enumerate(atoms, 1)
        )
    )
    assert read_model(path).elements.tolist() == [
        "C",
        "Ca",
        "Zn",
        "Cl",
        "C",
        "O",
        "Cl",
        "Fe",
        "N",
        "C",
        "Na",
        "O",
    ]


def test_calcium_in_the_element_column_of_an_alpha_carbon_is_carbon_and_said():
    structure, _ = real_pdb()
    count = 0
    for site in structure[0].all():
        if site.atom.name in ("CA", "CD", "NE") and site.residue.name != "HEM":
            site.atom.element = gemmi.Element(site.atom.name)
            count += 1
    model = model_of(structure, "model")
    assert not set(model.elements) - {"C", "N", "O", "S", "Fe"}
    assert f"gives {count} atoms of amino acids or nucleotides an element" in (
        model.findings[0].message
    )


def test_selenium_of_selenomethionine_is_kept():
    assert element_from_names("SE", "MSE") == "Se"
    assert element_from_names("SE", "LIG") is None
    assert element_from_names("1HB", "ALA") == "H"
    assert element_from_names("P", "DG") == "P"


def test_long_names_of_hydrogens_and_ligands_are_in_their_columns(tmp_path):
    path = tmp_path / "model.pdb"
    path.write_text(
        LINE.replace("{:4s} {:3s}", "{:4s}{:>4s}").format("ATOM  ", 1, " CA ", "ILE", 1, 1.0)
        + LINE.format("ATOM  ", 2, "HG11", "ILE", 1, 4.0)
        + LINE.format("HETATM", 3, "CAA1", "LIG", 2, 8.0)
    )
    model = read_model(path)
    assert model.elements.tolist() == ["C", "C"]
    assert model.findings == ()


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("O1-", "O"),
        ("FE+3", "FE"),
        ("Zn2+", "Zn"),
        ("C", "C"),
        ("N+", "N"),
        ("Xx1", "Xx1"),
        ("?", "?"),
    ],
)
def test_charge_is_no_part_of_the_element(text, symbol):
    assert symbol_without_charge(text) == symbol
