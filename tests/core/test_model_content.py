"""Dummy atoms, several parts, occupancies and coinciding atoms, against the plain model.

All models are simulated but for haemoglobin and the protein of EMD-3488, which are real.
"""

from pathlib import Path

import gemmi
import numpy as np
import pytest

from locscale_hybrid.errors import InputError
from locscale_hybrid.model.structure import model_of, read_model
from tests.synthetic import small_model

EXAMPLES = Path(__file__).parents[2] / "examples" / "data"


def codes(model):
    return [finding.code for finding in model.findings]


def write(tmp_path, text, name="model.pdb"):
    path = tmp_path / name
    path.write_text(text)
    return path


def pdb(structure):
    return structure.make_pdb_string().replace("END", "").strip() + "\n"


def copy_of(structure, *, chain="B", shift=(0.0, 0.0, 0.0), noise=0.0, occupancy=None):
    """The first chain again, under another name, moved or not."""
    new = structure[0][0].clone()
    new.name = chain
    rng = np.random.default_rng(1)
    for residue in new:
        residue.subchain = ""
        for atom in residue:
            place = np.array(atom.pos.tolist()) + shift + noise * rng.standard_normal(3)
            atom.pos = gemmi.Position(*place)
    result = structure.clone()
    result[0].add_chain(new)
    if occupancy is not None:
        for site in result[0].all():
            site.atom.occ = occupancy
    return result


def lattice(name, n=200, element="N"):
    """Lines of dummy atoms, two to a residue as OPM writes them."""
    return "".join(
        f"HETATM{i + 1:5d}  {element}   {name}  {i // 2 + 1:4d}    {3 * (i % 20) - 30:8.3f}"
        f"{3 * (i // 20) - 30:8.3f}{-15.0 if i % 2 else 15.0:8.3f}  1.00  0.00\n"
        for i in range(n)
    )


@pytest.mark.parametrize("name", ["DUM", "MEM"])
def test_dummy_atoms_of_a_membrane_are_left_out_and_counted(tmp_path, name):
    plain = small_model(18)
    model = read_model(write(tmp_path, pdb(plain) + lattice(name)))
    assert model.positions == pytest.approx(model_of(plain, "plain").positions, abs=6e-4)
    assert codes(model) == ["dummy-atoms"]
    assert f"has 200 dummy atoms ({name}), which mark a membrane or an axis" in (
        model.findings[0].message
    )


def test_ligand_with_a_name_that_dummies_have_is_kept(tmp_path):
    atoms = "".join(
        f"HETATM{i:5d}  C{i}  MEM B   1    {1.5 * i:8.3f}   0.000  40.000  1.00 20.00           C\n"
        for i in range(1, 7)
    )
    assert len(read_model(write(tmp_path, pdb(small_model(18)) + atoms))) == 150


def blocks(*structures):
    return "\n".join(
        structure.make_mmcif_document().as_string().replace("data_synthetic", f"data_{i}")
        for i, structure in enumerate(structures)
    )


def test_all_data_blocks_are_used_and_said(tmp_path):
    one, other = small_model(18), small_model(27, centre=(60.0, 5.0, 0.0))
    model = read_model(write(tmp_path, blocks(one, other), "model.cif"))
    expected = np.concatenate([model_of(part.clone(), "").positions for part in (one, other)])
    assert model.positions == pytest.approx(expected, abs=1e-3)
    assert [chain.name for chain in model.structure[0]] == ["A", "A-2"]
    assert model.chain_index.tolist() == [0] * 144 + [1] * 216
    assert codes(model) == ["several-parts"]
    assert (
        "has 2 data blocks, and the atoms of all of them are used. Chains whose names were "
        "taken are now A-2."
    ) in model.findings[0].message


def test_equal_chains_of_two_blocks_in_two_places_are_two(tmp_path):
    one, other = small_model(18), small_model(18, centre=(60.0, 5.0, 0.0))
    assert len(read_model(write(tmp_path, blocks(one, other), "model.cif"))) == 288


def test_models_of_one_file_in_several_places_are_all_used(tmp_path):
    # biological assemblies, and what ChimeraX writes of several structures into one PDB file
    parts = [
        small_model(18),
        small_model(18, centre=(60.0, 5.0, 0.0)),
        small_model(27, centre=(0.0, 70.0, 0.0)),
    ]
    text = "".join(f"MODEL     {i:4d}\n{pdb(part)}ENDMDL\n" for i, part in enumerate(parts, 1))
    model = read_model(write(tmp_path, text + "END\n"))
    assert len(model) == 144 + 144 + 216
    assert [chain.name for chain in model.structure[0]] == ["A", "A-2", "A-3"]
    assert codes(model) == ["several-parts"]
    assert "has 3 models, and the atoms of all of them are used" in model.findings[0].message


def test_block_without_atoms_is_passed_over(tmp_path):
    text = "data_first\n_cell.length_a 5\n\n" + blocks(small_model(18))
    model = read_model(write(tmp_path, text, "model.cif"))
    assert (len(model), codes(model)) == (144, [])


def test_conformers_in_several_blocks_count_once(tmp_path):
    one, moved = small_model(18), small_model(18, centre=(0.3, 0.4, 0.0))
    model = read_model(write(tmp_path, blocks(one, moved, moved), "model.cif"))
    assert model.positions == pytest.approx(model_of(one, "").positions, abs=1e-3)
    assert codes(model) == ["several-models"]
    assert "has 3 conformers of one model, as an ensemble does. The first is used" in (
        model.findings[0].message
    )


def test_conformers_whose_hydrogens_and_ends_differ_count_once(tmp_path):
    parts = [small_model(18), small_model(18, centre=(0.4, 0.3, 0.0)), small_model(18)]
    del parts[1][0][0][17]
    hydrogen = parts[2][0][0][0][0].clone()
    hydrogen.name, hydrogen.element = "H", gemmi.Element("H")
    parts[2][0][0][0].add_atom(hydrogen)
    text = "".join(f"MODEL     {i:4d}\n{pdb(part)}ENDMDL\n" for i, part in enumerate(parts, 1))
    model = read_model(write(tmp_path, text + "END\n"))
    assert (len(model), codes(model)) == (144, ["several-models"])


def test_what_follows_an_end_record_is_read_too(tmp_path):
    one, other = small_model(18), small_model(27, centre=(60.0, 5.0, 0.0))
    text = one.make_pdb_string() + other.make_pdb_string()
    assert text.count("\nEND") == 2
    model = read_model(write(tmp_path, text))
    assert (len(model), codes(model)) == (360, ["several-parts"])
    assert "has 2 parts that END records separate" in model.findings[0].message


def test_frames_that_end_records_separate_count_once(tmp_path):
    text = "".join(small_model(18, centre=(0.2 * i, 0.0, 0.0)).make_pdb_string() for i in range(4))
    model = read_model(write(tmp_path, text))
    assert (len(model), codes(model)) == (144, ["several-models"])


@pytest.mark.parametrize("occupancy", [50.0, 1.2])
def test_occupancy_beyond_one_is_refused_with_the_count(tmp_path, occupancy):
    structure = small_model(18)
    for site in list(structure[0].all())[:30]:
        site.atom.occ = occupancy
    with pytest.raises(
        InputError,
        match=rf"30 atoms have occupancies greater than 1 \(up to "
        rf"{occupancy:.2f}\)\. Set them to 1 or less",
    ):
        read_model(write(tmp_path, pdb(structure)))


def test_occupancy_of_all_zero_is_refused_with_the_remedy(tmp_path):
    structure = small_model(18)
    for site in structure[0].all():
        site.atom.occ = 0.0
    with pytest.raises(InputError, match=r"occupancy of 0 on all 144 atoms.*Set occupancies to 1"):
        read_model(write(tmp_path, pdb(structure)))


@pytest.mark.parametrize(("second", "told"), [(0.4, False), (0.9, True)])
def test_alternate_conformations_that_add_up_to_more_than_one_are_said(second, told):
    structure = small_model(18)
    residue = structure[0][0][3]
    others = [atom.clone() for atom in residue]
    for atom, other in zip(residue, others, strict=True):
        atom.altloc, atom.occ, other.altloc, other.occ = "A", 0.6, "B", second
        other.pos = other.pos + gemmi.Position(0.1, 0.0, 0.0)
    for other in others:
        residue.add_atom(other)
    model = model_of(structure, "model")
    assert len(model) == 152
    assert codes(model) == ["occupancy-sum"] * told
    if told:
        assert (
            "the occupancies of the alternate conformations of 8 atoms add up to more than 1 "
            "(up to 1.50)"
        ) in model.findings[0].message


def test_b_that_is_no_number_is_replaced_and_said(tmp_path):
    structure = small_model(18, b_iso=(30.0, 30.0))
    lines = pdb(structure).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("ATOM"))
    lines[first] = lines[first][:60] + "   nan" + lines[first][66:]
    model = read_model(write(tmp_path, "\n".join(lines) + "\n"))
    assert model.b_iso.tolist() == [30.0] * 144
    assert codes(model) == ["b-missing"]
    assert "has 1 atom whose B factor is not a number. 30 Å² is used" in model.findings[0].message


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_chain_twice_in_one_place_counts_once_and_is_said(noise):
    plain = model_of(small_model(18), "plain")
    model = model_of(copy_of(small_model(18), noise=noise), "model")
    assert np.array_equal(model.positions, plain.positions)
    assert codes(model) == ["coinciding-atoms"]
    assert "144 atoms (all of chain B) are within 0.2 Å of an earlier atom" in (
        model.findings[0].message
    )


def test_chain_twice_under_one_name_counts_once(tmp_path):
    text = pdb(small_model(18))
    atoms = "".join(line + "\n" for line in text.splitlines() if line.startswith("ATOM"))
    model = read_model(write(tmp_path, text + atoms))
    assert (len(model), codes(model)) == (144, ["coinciding-atoms"])


@pytest.mark.parametrize("noise", [0.4, 0.7])
def test_conformers_as_chains_are_refused(noise):
    with pytest.raises(
        InputError,
        match=r"model: chain B overlaps with other atoms of the model, "
        r"as in an ensemble: 1[5-8] of 18 residues are within 2 Å of another one\. "
        "Keep one conformer, or set occupancies that add up to 1",
    ):
        model_of(copy_of(small_model(18), noise=noise), "model")


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_chains_that_share_a_place_by_half_are_both_used(noise):
    model = model_of(copy_of(small_model(18), noise=noise, occupancy=0.5), "model")
    assert (len(model), codes(model)) == (288, [])


def test_chain_twice_in_two_places_is_used_twice():
    model = model_of(copy_of(small_model(18), shift=(60.0, 0.0, 0.0)), "model")
    assert (len(model), codes(model)) == (288, [])


@pytest.mark.parametrize("name", ["5ni1.cif.gz", "modelangelo_in_emd3488.cif.gz"])
def test_real_models_have_nothing_twice(name):
    assert codes(read_model(EXAMPLES / name)) == []


def test_many_atoms_in_one_place_need_no_time():
    structure = small_model(18)
    chain = structure[0][0]
    for site in structure[0].all():
        site.atom.pos = gemmi.Position(1, 2, 3)
    for _ in range(40):
        for residue in [residue.clone() for residue in chain][:18]:
            chain.add_residue(residue)
    model = model_of(structure, "model")
    assert len(model) == 1
    assert "are left out, so that each place counts once" in model.findings[-1].message
