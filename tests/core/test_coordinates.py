"""Coordinates of the model refined before it is completed; all maps are simulated.

The restraints come from a monomer library on this machine: CLIBD_MON, or the one that the package
coot-headless-api brings.
"""

import gzip
import importlib.util
import json
import os
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path

import gemmi
import numpy as np
import pytest

from locscale_hybrid import (
    HybridInputs,
    HybridParameters,
    InputError,
    check_only,
    output_paths,
    run_hybrid,
)
from locscale_hybrid.cli.main import main
from locscale_hybrid.cli.request import given_options, request_of
from locscale_hybrid.errors import StageError
from locscale_hybrid.inputs.half_maps import observe_halves, observe_one
from locscale_hybrid.maps.mrc import write_map
from locscale_hybrid.model.structure import atom_positions, model_of, moved_structure, read_model
from locscale_hybrid.refinement import coordinates
from locscale_hybrid.refinement.coordinates import refined_model
from locscale_hybrid.refinement.servalcat import program
from locscale_hybrid.refinement.servalcat.program import (
    refine_coordinates,
    require_library,
    require_restraints,
)
from locscale_hybrid.refinement.setup import refinement_data
from locscale_hybrid.results.command_line import command_words
from locscale_hybrid.symmetry.operators import Symmetry
from locscale_hybrid.symmetry.point_groups import parse_point_group
from tests.synthetic import box_centre, half_maps, small_model

ENOLASE = Path(__file__).parents[1] / "data" / "3enl.pdb.gz"
SHAPE, VOXEL, ORIGIN, RESOLUTION = (40, 44, 50), 1.0, (12.5, -40.0, 7.0), 2.6
N_RESIDUES, NOISE = 40, 0.3


def rms(moves):
    return np.sqrt((moves**2).sum(axis=1).mean())


def displaced(structure, noise=NOISE, seed=1):
    """A structure with coordinate noise of an rms in Å."""
    positions = atom_positions(structure)
    moves = np.random.default_rng(seed).normal(0, noise / 3**0.5, positions.shape)
    return moved_structure(structure, positions + moves)


@pytest.fixture(scope="module")
def library():
    spec = importlib.util.find_spec("coot_headless_api")
    places = [Path(os.environ["CLIBD_MON"])] if os.environ.get("CLIBD_MON") else []
    places += [
        Path(place) / "share/coot/lib/data/monomers"
        for place in (spec.submodule_search_locations or [] if spec else [])
    ]
    found = next((place for place in places if (place / "ener_lib.cif").is_file()), None)
    if found is None:
        pytest.skip("no monomer library: set CLIBD_MON, or install coot-headless-api")
    return found


@pytest.fixture
def no_library(tmp_path):
    """A folder with the names of a library for alanine and nothing in them."""
    for name in ("ener_lib.cif", "list/mon_lib_list.cif", "a/ALA.cif", "c/CON_CON.cif"):
        path = tmp_path / "monomers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return tmp_path / "monomers"


@pytest.fixture(scope="module")
def true_structure():
    """The first residues of enolase (3ENL), centred in the box."""
    structure = gemmi.read_pdb_string(gzip.decompress(ENOLASE.read_bytes()).decode())
    structure.remove_ligands_and_waters()
    chain = structure[0][0]
    while len(chain) > N_RESIDUES:
        del chain[len(chain) - 1]
    positions = atom_positions(structure)
    return moved_structure(
        structure, positions - positions.mean(axis=0) + box_centre(SHAPE, VOXEL, ORIGIN)
    )


@pytest.fixture(scope="module")
def case(true_structure):
    """Simulated: half maps at 2.6 Å in a box with an origin, and the true positions."""
    first, second, _ = half_maps(true_structure, SHAPE, VOXEL, RESOLUTION, 3, origin=ORIGIN)
    return observe_halves(first, second), atom_positions(true_structure)


@pytest.fixture
def engine(case, monkeypatch):
    """In place of servalcat: goes to a share of the way to the truth; notes what it was shown."""
    calls, share = [], [0.5]

    def move(maps, structure, library, *, progress, **options):
        calls.append([volume.name for volume in maps])
        progress(1.0)
        start = atom_positions(structure)
        return start + share[0] * (case[1] - start)

    monkeypatch.setattr(coordinates, "refine_coordinates", move)
    return calls, share


def refined(case, structure, tmp_path, kind="halves", observed=None, library=Path("none")):
    observed = case[0] if observed is None else observed
    return refined_model(
        model_of(structure, "model"),
        refinement_data(observed, RESOLUTION),
        kind=kind,
        symmetry=None,
        library=library,
        folder=tmp_path,
    )


def test_better_coordinates_are_taken_after_half_map_1_alone_has_shown_them(
    case, true_structure, engine, tmp_path
):
    model, finding = refined(case, displaced(true_structure), tmp_path)
    assert engine[0] == [["half 1"], ["half 1", "half 2"]]
    assert (finding.code, finding.level) == ("coordinates-refined", "note")
    assert rms(model.positions - case[1]) == pytest.approx(NOISE / 2, rel=0.05)
    assert finding.values["rms_shift_angstrom"] == pytest.approx(NOISE / 2, rel=0.05)
    assert finding.values["fsc_free_after"] > finding.values["fsc_free_before"] > 0.3
    assert "rms shift 0.15 Å" in finding.message
    assert np.allclose(atom_positions(model.structure), model.positions)


def test_worse_coordinates_are_not_taken_and_the_numbers_say_why(
    case, true_structure, engine, tmp_path
):
    engine[1][0] = -0.5
    given = displaced(true_structure)
    model, finding = refined(case, given, tmp_path)
    assert engine[0] == [["half 1"]]
    assert (finding.code, finding.level) == ("coordinates-kept", "warning")
    assert np.array_equal(model.positions, atom_positions(given))
    assert finding.values["fsc_free_after"] < finding.values["fsc_free_before"]
    for name in ("fsc_free_before", "fsc_free_after"):
        assert f"{finding.values[name]:.4f}" in finding.message


def test_one_map_is_refined_against_with_a_warning_that_nothing_validates_it(
    case, true_structure, engine, tmp_path
):
    observed = observe_one(case[0].average, np.random.default_rng(1))
    model, finding = refined(case, displaced(true_structure), tmp_path, observed.kind, observed)
    assert len(engine[0]) == 1 and len(engine[0][0]) == 1
    assert (finding.code, finding.level) == ("coordinates-not-validated", "warning")
    assert "nothing validates them. Give two half maps" in finding.message
    assert rms(model.positions - case[1]) < 0.6 * NOISE


def test_a_folder_that_is_no_monomer_library_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"there is no folder .*lost. Give the monomer library"):
        require_library(tmp_path / "lost")
    with pytest.raises(
        InputError,
        match=r"is not a monomer library: it has no ener_lib\.cif and no "
        r"list/mon_lib_list\.cif\. Give the monomer",
    ):
        require_library(tmp_path)


def test_a_library_of_either_age_is_known(no_library):
    require_library(no_library)
    (no_library / "list/mon_lib_list.cif").rename(no_library / "links_and_mods.cif")
    require_library(no_library)


def test_residues_without_restraints_are_named(no_library):
    structure = small_model(14)
    with pytest.raises(
        InputError, match=r"has no restraints for LEU, MET of the model\. Add their"
    ):
        require_restraints(structure, no_library)
    for number, residue in enumerate(structure[0][0]):
        residue.name = "CON" if number % 2 else "ALA"
    require_restraints(structure, no_library)


def test_without_servalcat_the_option_is_named(no_library, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    inputs = HybridInputs(
        full_map=tmp_path / "m.mrc", model=tmp_path / "m.cif", monomer_library=no_library
    )
    with pytest.raises(
        InputError, match=r"Type pip install 'servalcat', or leave out `monomer_library`"
    ):
        check_only(inputs, HybridParameters())


def test_a_missing_library_ends_the_program_with_2_before_anything_is_read(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: ModuleSpec(name, None))
    monkeypatch.chdir(tmp_path)
    assert main(["-em", "m.mrc", "-mc", "m.cif", "--refine_coordinates", "lost"]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_coordinates_without_a_model_are_refused():
    with pytest.raises(
        InputError, match=r"no model is given\. Give a model \(`model`\), or leave out"
    ):
        HybridInputs(full_map=Path("m.mrc"), monomer_library=Path("monomers"))


def test_the_option_names_the_library_and_the_record_repeats_it(tmp_path):
    words = ["-em", "m.mrc", "-mc", "m.cif", "--refine_coordinates", str(tmp_path)]
    job = request_of(*given_options(words)).job
    assert job.inputs.monomer_library == tmp_path
    again = command_words(job.inputs, job.parameters, output_paths(tmp_path / "o.mrc"))
    assert request_of(*given_options(again[1:])).job.inputs == job.inputs


def test_a_model_that_comes_back_without_an_atom_is_an_error(
    case, true_structure, tmp_path, monkeypatch
):
    def run(words, folder, progress):
        model = gemmi.read_structure(str(folder / "servalcat_model.cif"))
        del model[0][0][7]
        model.make_mmcif_document().write_file(str(folder / "servalcat.mmcif"))

    monkeypatch.setattr(program, "_run", run)
    for check in ("require_servalcat", "require_library", "require_restraints"):
        monkeypatch.setattr(program, check, lambda *given: None)
    lost = len(true_structure[0][0][7])
    with pytest.raises(StageError, match=rf"without {lost} of \d+ atoms \(A/8/N/"):
        refine_coordinates(
            [case[0].average],
            true_structure,
            tmp_path,
            d_min=RESOLUTION,
            b_start=60.0,
            folder=tmp_path,
        )


@pytest.mark.servalcat
def test_a_model_displaced_by_0_3_angstrom_comes_nearer_to_the_truth(
    case, true_structure, library, tmp_path
):
    for name, half in (("half1", case[0].half_1), ("half2", case[0].half_2)):
        write_map(tmp_path / f"{name}.mrc", half)
    displaced(true_structure).make_mmcif_document().write_file(str(tmp_path / "model.cif"))
    inputs = HybridInputs(
        tmp_path / "half1.mrc",
        tmp_path / "half2.mrc",
        model=tmp_path / "model.cif",
        monomer_library=library,
    )
    parameters = HybridParameters(resolution=RESOLUTION, window=15.0, outputs=frozenset({"model"}))
    result = run_hybrid(inputs, parameters, output_paths(tmp_path / "out.mrc"))
    record = json.loads(result.record.read_text())
    (finding,) = (
        found["values"] for found in record["findings"] if found["code"] == "coordinates-refined"
    )
    assert finding["fsc_free_after"] > finding["fsc_free_before"]
    assert 0.1 < finding["rms_shift_angstrom"] < 0.6
    assert rms(read_model(result.files["model"]).positions - case[1]) < 0.6 * NOISE
    assert record["inputs"]["monomer_library"]["path"] == str(library)
    assert record["program"]["servalcat"] == version("servalcat")


def with_amide_hydrogens(structure):
    """A copy with a hydrogen 0.86 Å from the nitrogen of every residue but proline."""
    copy = structure.clone()
    for residue in copy[0][0]:
        if residue.name == "PRO":
            continue
        nitrogen, alpha = residue["N"][0], residue["CA"][0]
        hydrogen = nitrogen.clone()
        hydrogen.name, hydrogen.element = "H", gemmi.Element("H")
        hydrogen.pos = nitrogen.pos + (nitrogen.pos - alpha.pos) * (0.86 / 1.46)
        residue.add_atom(hydrogen)
    return copy


def dimer(unit, symmetry):
    """A structure and its images, a chain each."""
    whole = unit.clone()
    for place, name in zip(range(1, symmetry.order), "BCDE", strict=False):
        chain = unit[0][0].clone()
        chain.name = name
        whole[0].add_chain(chain)
        images = symmetry.copies(atom_positions(unit))[place]
        atoms = [atom for residue in whole[0][name] for atom in residue]
        for atom, position in zip(atoms, images, strict=True):
            atom.pos = gemmi.Position(*position)
    return whole


@pytest.mark.servalcat
def test_hydrogens_of_the_file_move_along_and_a_unit_meets_its_image(
    true_structure, library, tmp_path
):
    shape = (44, 40, 72)
    symmetry = Symmetry(parse_point_group("C2"), box_centre(shape, VOXEL, ORIGIN))
    shift = np.array(symmetry.centre) - box_centre(SHAPE, VOXEL, ORIGIN) + (17.0, 0.0, 0.0)
    unit = moved_structure(true_structure, atom_positions(true_structure) + shift)
    maps = half_maps(dimer(unit, symmetry), shape, VOXEL, RESOLUTION, 5, origin=ORIGIN)[:2]
    given = with_amide_hydrogens(displaced(unit))
    found = refine_coordinates(
        maps, given, library, d_min=RESOLUTION, b_start=60.0, folder=tmp_path, symmetry=symmetry
    )
    hydrogen = np.array([site.atom.is_hydrogen() for site in given[0].all()])
    heavy = found[~hydrogen]
    assert rms(heavy - atom_positions(unit)) < 0.8 * NOISE
    nitrogens = np.array(
        [site.atom.name == "N" and site.residue.name != "PRO" for site in given[0].all()]
    )[~hydrogen]
    lengths = np.linalg.norm(found[hydrogen] - heavy[nitrogens], axis=1)
    assert lengths == pytest.approx(0.95, abs=0.15)
    assert "_struct_ncs_oper" in (tmp_path / "servalcat.mmcif").read_text()
