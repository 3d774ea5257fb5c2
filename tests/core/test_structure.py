"""Atomic models as arrays; expected values are gemmi's, or stand in the text of the file."""

import gzip
from pathlib import Path

import gemmi
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from locscale_hybrid.errors import InputError
from locscale_hybrid.model.structure import (
    PSEUDO_CATEGORY,
    PSEUDO_ENTITY,
    PSEUDO_RESIDUE_NAME,
    PSEUDO_SUBCHAIN,
    model_of,
    read_model,
)
from tests.synthetic import small_model

DATA = Path(__file__).parents[1] / "data"
EXAMPLES = Path(__file__).parents[2] / "examples" / "data"

PDB = """\
ATOM      1  N   ALA A   1      11.104   6.134  -6.504  1.00 20.00           N
ATOM      2  CA AALA A   1      11.639   6.071  -5.147  0.60 30.00           C
ATOM      3  CA BALA A   1      11.700   6.100  -5.100  0.40 31.00           C
ATOM      4  H   ALA A   1      10.104   6.134  -6.504  1.00 20.00           H
ATOM      5  D   ALA A   1      10.104   7.134  -6.504  1.00 20.00           D
ATOM      6  CB  ALA A   1      12.000   7.000  -4.000  0.00 25.00           C
TER
HETATM    7 CA    CA B   1       1.000   2.000   3.000  1.00 40.00          CA
HETATM    8  UNK UNX C   1       4.000   5.000   6.000  1.00 50.00           X
END
"""


def write(tmp_path, text, name="model.pdb"):
    path = tmp_path / name
    path.write_text(text)
    return path


def codes(model):
    return [finding.code for finding in model.findings]


def test_scatterers_and_what_is_left_out(tmp_path):
    model = read_model(write(tmp_path, PDB))
    assert model.elements.tolist() == ["N", "C", "C", "Ca"]
    assert model.positions[0].tolist() == [11.104, 6.134, -6.504]
    assert model.occupancies.tolist() == pytest.approx([1.0, 0.6, 0.4, 1.0])
    assert model.b_iso.tolist() == [20.0, 30.0, 31.0, 40.0]
    assert model.atom_index.tolist() == [0, 1, 2, 6]
    assert model.chain_index.tolist() == [0, 0, 0, 1]
    assert len(model) == 4
    assert sorted(codes(model)) == ["unknown-elements", "zero-occupancy"]
    messages = {finding.code: finding.message for finding in model.findings}
    assert (
        "1 of 8 atoms have an element without known scattering (X)"
        in (messages["unknown-elements"])
    )
    assert "1 of 8 atoms have an occupancy of zero" in messages["zero-occupancy"]


def test_anchors_are_ca_and_phosphorus_and_all_of_a_chain_without(tmp_path):
    model = read_model(write(tmp_path, PDB))
    # the calcium ion named CA is no anchor by name; its chain has no other and is one by that
    assert model.is_anchor.tolist() == [False, True, True, True]
    phosphorus = "ATOM      9  P     G D   1       1.000   1.000   1.000  1.00 20.00"
    nucleic = PDB.replace("END\n", f"{phosphorus}           P\n")
    assert read_model(write(tmp_path, nucleic)).is_anchor.tolist()[-2:] == [True, True]


@pytest.mark.parametrize("name", ["model.pdb", "model.cif", "model.ent", "noending"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["pdb", "cif"])
def test_format_and_compression_are_told_by_content(tmp_path, name, packed, kind):
    structure = small_model(18)
    text = (
        structure.make_pdb_string()
        if kind == "pdb"
        else "# a comment\n" + structure.make_mmcif_document().as_string()
    )
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert len(read_model(path)) == 144


@pytest.mark.parametrize(
    ("path", "atoms"),
    [
        (EXAMPLES / "5ni1.cif.gz", 4579),
        (EXAMPLES / "modelangelo_in_emd3488.cif.gz", 4298),
        (DATA / "3J6B_9.pdb.gz", 1428),
    ],
)
def test_real_models_have_gemmis_non_hydrogen_atoms(path, atoms):
    model = read_model(path)
    structure = gemmi.read_structure(str(path))
    expected = [site.atom for site in structure[0].all() if not site.atom.is_hydrogen()]
    assert len(model) == len(expected) == atoms
    assert np.abs(model.positions - [atom.pos.tolist() for atom in expected]).max() == 0.0
    assert model.elements.tolist() == [atom.element.name for atom in expected]
    sites = [site.atom.name for site in structure[0].all()]
    assert [sites[i] for i in model.atom_index] == [atom.name for atom in expected]


def test_two_letter_chains_ligands_and_waters_are_kept():
    model = read_model(EXAMPLES / "5ni1.cif.gz")
    names = {residue.name for chain in model.structure[0] for residue in chain}
    assert {"HEM", "HOH"} <= names
    assert (model.elements == "Fe").sum() == 4
    chains = read_model(EXAMPLES / "modelangelo_in_emd3488.cif.gz").structure[0]
    assert {len(chain.name) for chain in chains} == {2}


def test_coordinates_of_mmcif_keep_more_than_three_decimals(tmp_path):
    structure = small_model(18, centre=(1 / 3, 1 / 7, 1 / 9))
    path = write(tmp_path, structure.make_mmcif_document().as_string(), "m.cif")
    expected = np.array([site.atom.pos.tolist() for site in structure[0].all()])
    assert np.abs(read_model(path).positions - expected).max() < 1e-6


def test_anisotropic_tensor_gives_its_isotropic_equivalent(tmp_path):
    text = (
        "ATOM      1  CA  ALA A   1      11.639   6.071  -5.147  1.00 10.00           C\n"
        "ANISOU    1  CA  ALA A   1     1000   2000   3000      0      0      0       C\n"
    )
    # U_eq = (0.1 + 0.2 + 0.3) / 3 Å^2, B = 8 pi^2 U
    assert read_model(write(tmp_path, text)).b_iso[0] == pytest.approx(8 * np.pi**2 * 0.2, rel=1e-5)


def test_first_of_several_models_is_used_and_said(tmp_path):
    atom = PDB.splitlines()[0]
    text = "".join(f"MODEL     {n:4d}\n{atom}\nENDMDL\n" for n in (1, 2, 3)) + "END\n"
    model = read_model(write(tmp_path, text))
    assert len(model) == 1
    assert len(model.structure) == 1
    assert codes(model) == ["several-models"]
    assert "has 3 conformers of one model, as an ensemble does. The first is used" in (
        model.findings[0].message
    )
    assert len(model_of(gemmi.read_pdb_string(text), "structure")) == 1


def with_pseudo_atoms():
    structure = small_model(18)
    chain = gemmi.Chain("PSAT")
    for number in range(5):
        residue = gemmi.Residue()
        residue.name, residue.seqid = PSEUDO_RESIDUE_NAME, gemmi.SeqId(str(number + 1))
        residue.subchain, residue.entity_id = PSEUDO_SUBCHAIN, PSEUDO_ENTITY
        atom = gemmi.Atom()
        atom.name, atom.element = "C", gemmi.Element("C")
        atom.pos = gemmi.Position(number, 0, 0)
        residue.add_atom(atom)
        chain.add_residue(residue)
    structure[0].add_chain(chain)
    return structure


@pytest.mark.parametrize("kind", ["cif", "pdb"])
def test_pseudo_atoms_of_an_earlier_run_are_left_out_and_said(tmp_path, kind):
    structure = with_pseudo_atoms()
    structure[0][1].name = "X"
    text = (
        structure.make_mmcif_document().as_string()
        if kind == "cif"
        else structure.make_pdb_string()
    )
    model = read_model(write(tmp_path, text))
    assert len(model) == 144
    assert not model.is_pseudo.any()
    assert [chain.name for chain in model.structure[0]] == ["A"]
    assert codes(model) == ["earlier-pseudo-atoms"]
    assert "5 pseudo-atoms of an earlier run" in model.findings[0].message


def test_ligand_with_the_cut_name_of_pseudo_atoms_is_kept(tmp_path):
    atom = "HETATM{0:5d}  C{0}  PSA B   1      {0:6.3f}   2.000   3.000  1.00 40.00           C\n"
    assert len(read_model(write(tmp_path, atom.format(1) + atom.format(2)))) == 2


def test_pseudo_atoms_can_be_kept_and_are_flagged():
    model = model_of(with_pseudo_atoms(), "hybrid", keep_pseudo_atoms=True)
    assert len(model) == 149
    assert model.is_pseudo.tolist() == [False] * 144 + [True] * 5
    assert codes(model) == []


def test_pseudo_residue_name_is_no_component_of_the_pdb():
    # the wwPDB issues names of three and of five characters
    assert len(PSEUDO_RESIDUE_NAME) == 4
    assert not gemmi.find_tabulated_residue(PSEUDO_RESIDUE_NAME).found()
    assert PSEUDO_CATEGORY.startswith("_")
    assert PSEUDO_CATEGORY.endswith(".")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty; give a PDB or mmCIF file"),
        ("  \n\n", "is empty"),
        ("REMARK nothing here\n", "neither PDB nor mmCIF"),
        ("<html>not found</html>", "neither PDB nor mmCIF"),
        ("data_x\n_cell.length_a 5\n", r"CIF file without atoms.*in 1 data blocks"),
        ("data_x\nloop_\n_atom_site.Cartn_x\n'unfinished\n", "cannot be read as a model"),
        (
            PDB.splitlines()[3] + "\n",
            "no atom that scatters: of 1 atoms 1 are hydrogens, 0 of unknown",
        ),
        (PDB.splitlines()[0].replace("11.104", "   nan") + "\n", "coordinates are not numbers"),
        (
            PDB.splitlines()[0][:54] + "   nan" + PDB.splitlines()[0][60:] + "\n",
            "1 atoms whose occupancy is not a number; repair it",
        ),
        (
            PDB.splitlines()[0].replace("11.104", "1e+300") + "\n",
            r"1 atoms with coordinates up to 1e\+300 Å, which no map contains. Repair or delete them",
        ),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, text, words):
    with pytest.raises(InputError, match=words) as caught:
        read_model(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_missing_file_folder_and_damaged_gzip_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_model(tmp_path / "none.pdb")
    with pytest.raises(InputError, match="does not exist"):
        read_model(tmp_path / ("9" * 400))
    with pytest.raises(InputError, match="is a folder; give a PDB"):
        read_model(tmp_path)
    path = tmp_path / "a.pdb.gz"
    path.write_bytes(gzip.compress(PDB.encode())[:60])
    with pytest.raises(InputError, match="damaged gzip file"):
        read_model(path)


def test_structure_without_atoms_is_refused():
    with pytest.raises(InputError, match="model has no atoms; give a model with atoms"):
        model_of(gemmi.Structure(), "model")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=6)), max_size=8),
    st.booleans(),
    st.integers(0, 6000),
)
def test_no_text_makes_anything_but_a_model_or_one_sentence(tmp_path, edits, cif, length):
    structure = small_model(9)
    text = structure.make_mmcif_document().as_string() if cif else structure.make_pdb_string()
    raw = bytearray(text.encode())
    for place, word in edits:
        raw[place : place + len(word)] = word
    path = tmp_path / "fuzz"
    path.write_bytes(raw[:length] if length < 5000 else raw)
    try:
        model = read_model(path)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert np.isfinite(model.positions).all()
        assert len(model) <= 72
