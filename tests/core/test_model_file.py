"""Writing a hybrid model as mmCIF, and reading it back."""

from pathlib import Path

import gemmi
import numpy as np
import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.model.hybrid_model import complete_assembly, write_hybrid
from locscale_hybrid.model.structure import PSEUDO_RESIDUE_NAME, read_model
from locscale_hybrid.symmetry.operators import Symmetry, symmetry_of
from locscale_hybrid.symmetry.point_groups import parse_point_group
from tests.models import CENTRE, helix, model, symmetry, without_chains

DATA = Path(__file__).parents[1] / "data"
EXAMPLES = Path(__file__).parents[2] / "examples" / "data"
GRID = Grid((80, 90, 100), (1.2, 1.2, 1.2))


def full_hybrid(symbol="D2", n=5):
    unit = np.array(CENTRE) + np.random.default_rng(0).uniform(5, 20, (n, 3))
    hybrid = complete_assembly(model({"A": helix(10)}), symmetry(symbol))
    hybrid = hybrid.with_pseudo_atoms(unit, 55.0, 0.7)
    return hybrid.with_values(b_iso=np.linspace(10, 200, len(hybrid)))


@pytest.mark.parametrize("name", ["out.cif", "out.cif.gz"])
def test_a_written_model_is_read_back(tmp_path, name):
    hybrid = full_hybrid()
    write_hybrid(tmp_path / name, hybrid, grid=GRID)
    kept = read_model(tmp_path / name, keep_pseudo_atoms=True)
    assert kept.positions == pytest.approx(hybrid.positions, abs=6e-4)
    assert kept.b_iso == pytest.approx(hybrid.b_iso, abs=6e-3)
    assert kept.occupancies == pytest.approx(hybrid.occupancies, abs=1e-4)
    assert np.array_equal(kept.is_pseudo, hybrid.is_pseudo)
    assert kept.structure.cell.parameters == pytest.approx((120, 108, 96, 90, 90, 90))


def test_a_later_run_leaves_the_pseudo_atoms_out_and_finds_the_assembly_complete(tmp_path):
    write_hybrid(tmp_path / "out.cif", full_hybrid())
    back = read_model(tmp_path / "out.cif")
    assert len(back) == 160
    assert "20 pseudo-atoms of an earlier run" in back.findings[0].message
    assert complete_assembly(back, symmetry("D2")).copies == ()


def test_copied_chains_are_named_after_source_and_operator(tmp_path):
    write_hybrid(tmp_path / "out.cif", full_hybrid())
    structure = gemmi.read_structure(str(tmp_path / "out.cif"))
    assert [chain.name for chain in structure[0]] == ["A", "A2", "A3", "A4", "PSAT"]


def test_names_that_are_taken_are_not_given_again(tmp_path):
    group, far = symmetry("C2"), helix(10, start=(30.0, 30.0, 3.0))
    chains = {"A": helix(10), "A2": far, "PSAT": helix(5, start=(-30.0, 20.0, 0.0))}
    hybrid = complete_assembly(model(chains), group).with_pseudo_atoms(np.zeros((1, 3)), 9.0)
    write_hybrid(tmp_path / "out.cif", hybrid)
    structure = gemmi.read_structure(str(tmp_path / "out.cif"))
    names = [chain.name for chain in structure[0]]
    assert names == ["A", "A2", "PSAT", "A2x2", "A22", "PSAT2", "PSATx2"]
    subchains = [chain[0].subchain for chain in structure[0]]
    assert len(set(subchains)) == 7


def test_pseudo_atoms_stand_in_an_entity_of_their_own(tmp_path):
    write_hybrid(tmp_path / "out.cif", full_hybrid())
    structure = gemmi.read_structure(str(tmp_path / "out.cif"))
    residues = list(structure[0]["PSAT"])
    assert len(residues) == 20
    assert {residue.name for residue in residues} == {PSEUDO_RESIDUE_NAME}
    assert {residue.entity_type for residue in residues} == {gemmi.EntityType.NonPolymer}
    entity = structure.get_entity_of(structure[0]["PSAT"].whole())
    assert entity.name == "pseudo-atoms"
    assert len({residue.seqid.num for residue in residues}) == 20


def test_the_file_says_where_every_atom_comes_from(tmp_path):
    write_hybrid(tmp_path / "out.cif", full_hybrid(), provenance={"resolution": 3.2})
    block = gemmi.cif.read(str(tmp_path / "out.cif")).sole_block()
    row = {
        tag.split(".")[1]: value
        for tag, value in zip(
            block.find_loop("_locscale_pseudo_atoms.program").get_loop().tags,
            block.find_loop("_locscale_pseudo_atoms.program").get_loop().values,
            strict=True,
        )
    }
    assert (
        row["model_atoms"],
        row["copied_atoms"],
        row["pseudo_atoms"],
        row["pseudo_atoms_per_unit"],
        row["point_group"],
        row["resolution"],
    ) == ("40", "120", "20", "5", "D2", "3.2")
    chains = block.find("_locscale_chain.", ["auth_asym_id", "kind", "operator_id"])
    assert [list(r) for r in chains][:2] == [["A", "model", "1"], ["A2", "copy", "2"]]
    assert list(chains[4]) == ["PSAT", "pseudo-atoms", "?"]
    operators = block.find("_locscale_operator.", ["id", "matrix[1][1]", "vector[1]"])
    assert [float(x) for x in operators[1]] == [2.0, -1.0, 100.0]


TRAPS = """\
CRYST1   50.000   60.000   70.000  90.00  90.00  90.00 P 21 21 21
SSBOND   1 CYS A   10    CYS A   20                          1555   1555  2.05
ATOM      1  CA  ALA A   9      60.000  62.000  73.000  1.00 20.00           C
ANISOU    1  CA  ALA A   9     2000   3000   4000    100    200    300       C
ATOM      2  CA AGLY A   9A     63.800  62.000  73.000  0.60 21.00           C
ATOM      3  CA BGLY A   9A     63.800  62.800  73.000  0.40 22.00           C
ATOM      4  CA  CYS A  10      66.000  65.000  73.000  1.00 23.00           C
ATOM      5  SG  CYS A  10      66.500  66.500  74.000  1.00 24.00           S
ATOM      6  H   CYS A  10      65.000  66.000  73.500  1.00 25.00           H
ATOM      7  CA  CYS A  20      66.000  70.000  75.000  1.00 26.00           C
ATOM      8  SG  CYS A  20      66.500  68.500  74.300  1.00 27.00           S
TER
HETATM    9 ZN    ZN A 301      70.000  70.000  80.000  1.00 28.00          ZN
HETATM   10  O   HOH A 401      74.000  60.000  77.000  1.00 29.00           O
"""


@pytest.fixture
def traps(tmp_path):
    path = tmp_path / "traps.pdb"
    path.write_text(TRAPS)
    return read_model(path)


def test_the_model_is_written_verbatim_but_for_b_and_occupancy(tmp_path, traps):
    hybrid = complete_assembly(traps)
    write_hybrid(tmp_path / "out.cif", hybrid.with_values(b_iso=np.full(len(hybrid), 33.0)))
    structure = gemmi.read_structure(str(tmp_path / "out.cif"))
    written = [
        (
            s.chain.name,
            str(s.residue.seqid),
            s.residue.name,
            s.atom.name,
            s.atom.altloc,
            tuple(s.atom.pos.tolist()),
            s.atom.occ,
        )
        for s in structure[0].all()
    ]
    given = [
        (
            s.chain.name,
            str(s.residue.seqid),
            s.residue.name,
            s.atom.name,
            s.atom.altloc,
            tuple(s.atom.pos.tolist()),
            pytest.approx(s.atom.occ),
        )
        for s in gemmi.read_pdb_string(TRAPS)[0].all()
    ]
    assert written == given
    sites = [s.atom for s in structure[0].all()]
    assert [a.b_iso for a in sites if a.element.name != "H"] == [33.0] * 9
    assert not any(a.aniso.nonzero() for a in sites)
    assert len(structure.connections) == 1


def test_copies_have_altlocs_insertion_codes_and_links(tmp_path, traps):
    hybrid = complete_assembly(traps, symmetry("C2"))
    write_hybrid(tmp_path / "out.cif", hybrid)
    structure = gemmi.read_structure(str(tmp_path / "out.cif"))
    copy = [
        (str(r.seqid), r.name, [(a.name, a.altloc) for a in r])
        for c in structure[0]
        if c.name == "A2"
        for r in c
    ]
    assert copy == [
        ("9", "ALA", [("CA", "\0")]),
        ("9A", "GLY", [("CA", "A"), ("CA", "B")]),
        ("10", "CYS", [("CA", "\0"), ("SG", "\0")]),
        ("20", "CYS", [("CA", "\0"), ("SG", "\0")]),
        ("301", "ZN", [("ZN", "\0")]),
        ("401", "HOH", [("O", "\0")]),
    ]
    ends = [(link.partner1.chain_name, link.partner2.chain_name) for link in structure.connections]
    assert ends == [("A", "A"), ("A2", "A2")]
    first = structure[0].find_cra(structure.connections[1].partner1).atom.pos
    second = structure[0].find_cra(structure.connections[1].partner2).atom.pos
    assert first.dist(second) == pytest.approx(2.02, abs=0.01)


def test_helices_and_links_of_real_haemoglobin_are_repeated(tmp_path):
    half = without_chains(read_model(EXAMPLES / "5ni1.cif.gz"), "AB")
    hybrid = complete_assembly(half, symmetry_of(Grid((100,) * 3, (1.05,) * 3), "C2"))
    write_hybrid(tmp_path / "out.cif", hybrid)
    structure = gemmi.read_structure(str(tmp_path / "out.cif"))
    original = half.structure
    kept = [h for h in original.helices if h.start.chain_name in "AB"]
    assert len(structure.helices) == 2 * len(kept) > 20
    ends = {link.partner2.chain_name for link in structure.connections}
    assert ends == {"A", "B", "A2", "B2"}
    assert {c.name for c in structure[0]} == {"A", "B", "A2", "B2"}


def test_the_source_is_left_as_it_was(tmp_path):
    source = read_model(DATA / "3ajo_chainA.pdb.gz")
    before = source.structure.make_pdb_string()
    group = symmetry_of(Grid((112,) * 3, (1.3,) * 3), "O")
    hybrid = complete_assembly(source, group).with_pseudo_atoms(np.zeros((4, 3)), 1.0)
    write_hybrid(tmp_path / "out.cif", hybrid, grid=GRID)
    assert source.structure.make_pdb_string() == before


def test_assembly_instructions_are_dropped_once_they_are_carried_out(tmp_path):
    source = read_model(DATA / "2buk_I_5foldsYZ_centre112.pdb.gz")
    assert len(source.structure.assemblies) == 1
    hybrid = complete_assembly(source, Symmetry(parse_point_group("I1"), (112.0,) * 3))
    write_hybrid(tmp_path / "out.cif", hybrid)
    written = gemmi.read_structure(str(tmp_path / "out.cif"))
    assert len(written.assemblies) == 0
    assert written[0].count_atom_sites() == len(hybrid)


def test_pseudo_atoms_alone_make_a_file(tmp_path):
    full = complete_assembly(None, symmetry("C2")).with_pseudo_atoms(np.ones((3, 3)), 20.0)
    write_hybrid(tmp_path / "out.cif", full, grid=GRID)
    assert len(read_model(tmp_path / "out.cif", keep_pseudo_atoms=True)) == 6
    with pytest.raises(InputError, match="has no atoms"):
        read_model(tmp_path / "out.cif")


def test_more_than_99999_atoms_and_200_chains_are_written(tmp_path):
    unit = helix(125)
    shift = np.mgrid[0:20, 0:10, 0:1].reshape(3, -1).T * 12.0
    names = [f"{a}{b}" for a in "ABCDEFGHIJKLMNOPQRST" for b in "abcdefghij"]
    chains = {
        name: [(n, r, [(a, np.array(xyz) + d) for a, xyz in atoms]) for n, r, atoms in unit]
        for name, d in zip(names, shift, strict=True)
    }
    hybrid = complete_assembly(model(chains)).with_pseudo_atoms(np.zeros((1000, 3)), 20.0)
    write_hybrid(tmp_path / "out.cif", hybrid)
    back = read_model(tmp_path / "out.cif", keep_pseudo_atoms=True)
    assert len(back) == 101_000
    assert len(back.structure[0]) == 201
    assert back.positions == pytest.approx(hybrid.positions, abs=6e-4)


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for name in ("a.cif", "b.cif", "a.cif.gz", "b.cif.gz"):
        write_hybrid(tmp_path / name, full_hybrid())
    assert (tmp_path / "a.cif").read_bytes() == (tmp_path / "b.cif").read_bytes()
    assert (tmp_path / "a.cif.gz").read_bytes() == (tmp_path / "b.cif.gz").read_bytes()


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"the folder .*nowhere does not exist; make it"):
        write_hybrid(tmp_path / "nowhere" / "out.cif", full_hybrid())


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "out.cif").mkdir()
    with pytest.raises(InputError, match="is a folder; give a file name for the output"):
        write_hybrid(tmp_path / "out.cif", full_hybrid())


def test_nothing_is_left_behind_when_writing_fails(tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("locscale_hybrid.files.atomic.os.replace", full_disk)
    with pytest.raises(InputError, match="cannot be written: No space left on device; make room"):
        write_hybrid(tmp_path / "out.cif", full_hybrid())
    assert list(tmp_path.iterdir()) == []
