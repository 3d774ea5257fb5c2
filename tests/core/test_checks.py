"""All checks together: real cases, simulated faults, and clean cases without an alarm."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import gemmi
import numpy as np
import pytest
from scipy import ndimage

from locscale_hybrid.errors import InputError
from locscale_hybrid.fourier.space import FourierSpace
from locscale_hybrid.inputs.checks import check_fit, check_inputs, check_resolution
from locscale_hybrid.inputs.half_maps import ObservedMaps, observe_halves, observe_one
from locscale_hybrid.inputs.half_names import halves_beside, partner_of
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.maps.mrc import read_map
from locscale_hybrid.masking.coverage import check_coverage, model_coverage
from locscale_hybrid.model.plausibility import check_content
from locscale_hybrid.model.structure import atom_positions, model_of, moved_structure, read_model
from locscale_hybrid.parameters import HybridInputs
from locscale_hybrid.symmetry.operators import symmetry_of
from tests.synthetic import box_centre, half_maps, small_model

DATA = Path(__file__).parents[1] / "data"
EXAMPLES = Path(__file__).parents[2] / "examples" / "data"
SHAPE, VOXEL, ORIGIN = (60, 64, 62), 1.15, (-17.0, 40.0, 5.0)


def observed_of(path, voxel_size=None):
    return observe_one(read_map(path, voxel_size=voxel_size), np.random.default_rng(1))


def codes(findings, level=None):
    return {finding.code for finding in findings if level in (None, finding.level)}


@pytest.fixture(scope="module")
def haemoglobin():
    return observed_of(EXAMPLES / "emd_3488.mrc.gz")


def simulated(seed=1, resolution=3.5, **options):
    structure = small_model(72, centre=box_centre(SHAPE, VOXEL, ORIGIN))
    halves = half_maps(structure, SHAPE, VOXEL, resolution, seed, origin=ORIGIN, **options)
    return observe_halves(*halves[:2]), structure


@pytest.fixture(scope="module")
def case():
    return simulated()


def moved(structure, shift=(0.0, 0.0, 0.0), factor=1.0):
    """The model of a structure, every atom at factor * x + shift."""
    copy = structure.clone()
    for site in copy[0].all():
        site.atom.pos = gemmi.Position(*(factor * np.array(site.atom.pos.tolist()) + shift))
    return model_of(copy, "model.pdb")


# real data


def test_emd_3488_with_the_automatic_model_is_told_sharpened_and_masked(haemoglobin):
    model = read_model(EXAMPLES / "modelangelo_in_emd3488.cif.gz")
    symmetry = symmetry_of(haemoglobin.average.grid, "C2")
    findings = check_inputs(haemoglobin, model, symmetry, resolution=3.2)
    assert codes(findings) == {"sharpened-input", "masked-input", "filtered-input"}


def test_model_that_was_moved_by_14_7_is_refused_and_its_shift_named(haemoglobin):
    model = read_model(DATA / "modelangelo_orig_shifted_14.7A.cif.gz")
    for resolution in (3.2, None):
        with pytest.raises(
            InputError,
            match=(
                r"modelangelo_orig_shifted_14\.7A\.cif\.gz does not overlap the map where it lies "
                r"\(correlation -?0\.0\d\); shifted by \(-14\.\d, -14\.\d, -14\.\d\) Å \(25\.\d Å "
                r"in all\) it fits \(correlation 0\.\d+\)\. Move the model by \(-14"
            ),
        ):
            check_inputs(haemoglobin, model, resolution=resolution)


def test_model_of_another_molecule_is_refused(haemoglobin):
    with pytest.raises(
        InputError, match=r"no shift makes it fit\. Check that map and model belong"
    ):
        check_inputs(haemoglobin, read_model(DATA / "3enl.pdb.gz"), resolution=3.2)


def test_beta_galactosidase_is_told_its_resolution_alone():
    observed = observed_of(DATA / "betaGal.mrc.gz")
    model = read_model(DATA / "5a1a_in_betaGal.cif.gz")
    symmetry = symmetry_of(observed.average.grid, "D2")
    findings = check_inputs(observed, model, symmetry, resolution=8.8)
    assert codes(findings, "warning") == {"poor-resolution"}
    assert codes(findings, "note") == {"spherical-mask"}
    assert codes(check_inputs(observed, model, symmetry)) == {"spherical-mask"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3.3, r"voxel size seems to be 3\.[45]\d+ Å and not 3\.3 Å\. Give the voxel size"),
        (
            1.0,
            r"larger than the map: it measures \(136, 92, 181\) Å and the box \(100, 100, 100\) Å",
        ),
    ],
)
def test_wrong_voxel_size_is_told_by_the_model(given, words):
    observed = observed_of(DATA / "betaGal.mrc.gz", given)
    with pytest.raises(InputError, match=words):
        check_inputs(observed, read_model(DATA / "5a1a_in_betaGal.cif.gz"), resolution=8.8)


def test_one_chain_of_24_and_a_model_in_a_crop_are_in_place():
    observed = observed_of(DATA / "emd20026_O_1.3A.mrc.gz")
    model = read_model(DATA / "3ajo_chainA.pdb.gz")
    assert codes(check_inputs(observed, model, resolution=2.6)) == {"sharpened-input"}
    crop = observed_of(DATA / "emd20026_prot_crop_0.65A.mrc.gz")
    found = check_inputs(crop, read_model(DATA / "3ajo_in_crop.pdb.gz"))
    assert codes(found) == {"masked-input"}
    with pytest.raises(
        InputError,
        match=r"lies outside the map: 5 % of its atoms are in the box; "
        r"it spans \(87, 38, 75\) to .*it fits",
    ):
        check_inputs(crop, model)


@pytest.mark.parametrize(
    ("density", "model"),
    [("6272_crop.mrc.gz", "6272.pdb.gz"), ("2566_3J6B_9.mrc.gz", "3J6B_9.pdb.gz")],
)
def test_tiny_real_crops_and_their_models_are_in_place(density, model):
    findings = check_inputs(observed_of(DATA / density), read_model(DATA / model))
    assert codes(findings, "warning") == {"masked-input"}


# clean simulated cases


@pytest.mark.parametrize(
    ("seed", "resolution", "solvent", "blur"),
    [
        (1, 3.0, 0.35, 60.0),
        (2, 3.5, 0.0, 60.0),
        (3, 4.0, 0.35, 90.0),
        (4, 5.0, 0.35, 120.0),
        (5, 7.0, 0.0, 120.0),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_clean_simulated_case_raises_no_alarm(seed, resolution, solvent, blur, known):
    observed, structure = simulated(seed, resolution, solvent=solvent, blur=blur)
    model = model_of(structure, "model.pdb")
    assert check_inputs(observed, model, resolution=resolution if known else None) == []


@pytest.mark.parametrize(
    ("name", "voxel", "resolution", "blur"),
    [
        ("3J6B_9.pdb.gz", 1.1, 3.2, 60.0),
        ("6272.pdb.gz", 1.3, 3.8, 90.0),
        ("3ajo_chainA.pdb.gz", 1.2, 3.0, 50.0),
        ("6272.pdb.gz", 1.0, 2.8, 40.0),
        ("3J6B_9.pdb.gz", 1.5, 4.4, 150.0),
    ],
)
def test_clean_case_simulated_from_a_real_model_raises_no_alarm(name, voxel, resolution, blur):
    model = read_model(DATA / name)
    shape = tuple(int(side) for side in (np.ptp(model.positions, axis=0)[::-1] + 24) // voxel)
    shift = np.array(box_centre(shape, voxel, ORIGIN)) - model.positions.mean(axis=0)
    structure = moved_structure(model.structure, atom_positions(model.structure) + shift)
    halves = half_maps(
        structure, shape, voxel, resolution, 3, blur=blur, solvent=0.35, origin=ORIGIN
    )
    findings = check_inputs(observe_halves(*halves[:2]), model_of(structure, name))
    assert codes(findings, "warning") == set()


def test_partial_model_raises_no_alarm(case):
    observed, structure = case
    part = structure.clone()
    for _ in range(50):
        del part[0][0][-1]
    assert check_inputs(observed, model_of(part, "part"), resolution=3.5) == []


def test_coordinate_errors_of_half_an_angstrom_raise_no_alarm(case):
    observed, structure = case
    model = model_of(structure.clone(), "model.pdb")
    noise = np.random.default_rng(1).normal(0, 0.5, model.positions.shape)
    assert check_inputs(observed, replace(model, positions=model.positions + noise)) == []


# simulated faults


def test_model_in_the_frame_of_a_box_at_zero_is_refused_with_the_origin_as_shift(case):
    observed, structure = case
    model = moved(structure, -np.array(ORIGIN))
    with pytest.raises(InputError, match=r"shifted by \(-1[67]\.\d, (39|40)\.\d, [45]\.\d\) Å"):
        check_inputs(observed, model)


def test_model_off_by_a_voxel_and_a_half_is_a_warning(case):
    observed, structure = case
    (found,) = check_inputs(observed, moved(structure, (0.0, 1.7, 0.0)))
    assert found.code == "model-shifted"
    assert found.values["shift_angstrom"] == pytest.approx(1.7, abs=0.3)
    assert "check the origin of the map" in found.message


def test_voxel_size_that_is_off_by_three_per_cent_is_a_warning(case):
    observed, structure = case
    grid = observed.average.grid
    middle = np.array(box_centre(SHAPE, VOXEL, ORIGIN))
    model = moved(structure, 0.03 * middle, 0.97)
    (found,) = check_inputs(observed, model, resolution=3.5)
    assert found.code == "magnification"
    assert found.values["factor"] == pytest.approx(1 / 0.97, abs=0.008)
    assert f"and not {grid.step:.4g} Å" in found.message


@pytest.mark.parametrize("magnified", [1.0, 1.013, 0.985])
def test_voxel_size_of_a_whole_protein_is_told_from_one_per_cent(magnified):
    structure = read_model(DATA / "3enl.pdb.gz").structure
    places = atom_positions(structure)
    middle = places.mean(axis=0)
    shape = tuple(int(side) for side in (np.ptp(places, axis=0)[::-1] + 20) // 1.2)
    centred = moved_structure(structure, places - middle + box_centre(shape, 1.2))
    halves = half_maps(centred, shape, 1.2, 3.4, 5)
    given = moved_structure(structure, magnified * (places - middle) + box_centre(shape, 1.2))
    findings = [
        finding
        for finding in check_inputs(
            observe_halves(*halves[:2]), model_of(given, "3enl.pdb"), resolution=3.4
        )
        if finding.level == "warning"
    ]
    assert [finding.code for finding in findings] == ["magnification"] * (magnified != 1.0)
    for finding in findings:
        assert finding.values["factor"] == pytest.approx(1 / magnified, abs=0.006)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_inverted_hand_is_a_warning_that_says_what_to_flip(case, axis):
    observed, structure = case
    values = np.ascontiguousarray(np.flip(observed.average.values, axis))
    flipped = ObservedMaps(observed.average.with_values(values), None, None, "single")
    findings = check_inputs(flipped, model_of(structure.clone(), "model.pdb"), resolution=3.5)
    found = next(finding for finding in findings if finding.code == "hand-inverted")
    assert f"Flip the map along {'zyx'[axis]}." in found.message
    assert found.values["mirrored"] > 1.5 * found.values["correlation"]


def test_inverted_contrast_is_refused(case):
    observed, structure = case
    dark = ObservedMaps(
        observed.average.with_values(-observed.average.values), None, None, "single"
    )
    with pytest.raises(InputError, match=r"contrast of the map is inverted.*Multiply"):
        check_inputs(dark, model_of(structure.clone(), "model.pdb"), resolution=3.5)


def test_some_atoms_outside_the_box_are_a_warning(case):
    observed, structure = case
    more = structure.clone()
    for site in list(more[0].all())[:30]:
        site.atom.pos += gemmi.Position(500, 0, 0)
    found = next(
        finding
        for finding in check_inputs(observed, model_of(more, "model.pdb"))
        if finding.code == "atoms-outside"
    )
    assert (found.level, found.values["atoms"]) == ("warning", 30)
    assert "30 of 576 atoms" in found.message


def test_warnings_come_before_notes(case):
    observed, structure = case
    model = moved(structure, (0.0, 1.7, 0.0))
    model = replace(model, b_iso=np.full(len(model), 40.0))
    levels = [finding.level for finding in check_inputs(observed, model)]
    assert levels == ["warning", "note"]


# what can be told without a map


def test_b_factors_that_say_nothing_are_a_note(case):
    model = model_of(case[1].clone(), "m")
    (found,) = check_content(replace(model, b_iso=np.full(len(model), 40.0)))
    assert (found.code, found.level) == ("b-all-equal", "note")
    assert "B = 40 Å² on every atom; this does no harm where B factors are refined" in found.message
    zero = np.where(np.arange(len(model)) < 7, 0.0, model.b_iso)
    (found,) = check_content(replace(model, b_iso=zero))
    assert (found.code, found.values["atoms"]) == ("b-zero", 7)


def test_ca_trace_and_a_handful_of_atoms_are_warned_of():
    trace = small_model(40)
    for residue in trace[0][0]:
        for name in [atom.name for atom in residue if atom.name != "CA"]:
            residue.remove_atom(name, "*")
    (found,) = check_content(model_of(trace, "trace"))
    assert (found.code, found.values["residues"]) == ("ca-only", 40)
    (found,) = check_content(model_of(small_model(2), "few"))
    assert found.code == "few-atoms"
    assert found.message == (
        "few has 16 atoms that scatter, too few for most of a reference. "
        "Check that this is the right model."
    )
    assert check_content(model_of(small_model(9), "enough")) == []


def test_coverage_is_the_share_of_the_mask_within_6_angstrom_of_an_atom():
    grid, solid = Grid((40, 40, 40), (1.0,) * 3, (5.0, 0.0, 0.0)), np.zeros((40,) * 3, bool)
    solid[5:35, 5:35, 5:35] = True
    one = np.array([[25.0, 20.0, 20.0]])
    share = 4 / 3 * np.pi * 6**3 / 30**3
    assert model_coverage(grid, solid, one) == pytest.approx(share, abs=0.003)
    assert model_coverage(grid, solid, one + 500) == 0
    assert model_coverage(grid, solid, np.empty((0, 3))) == 0
    assert model_coverage(grid, solid, grid.position_of(np.argwhere(solid)[::7])) == 1


def test_too_few_atoms_for_the_density_is_a_warning_with_what_would_fit():
    (found,) = check_coverage("m.pdb", 100, 10_000.0, 0.25, completed=False)
    assert (found.code, found.level) == ("low-coverage", "warning")
    assert (
        "m.pdb has too few atoms for the density: its 100 atoms and what is near them are 25 % "
        "of the mask of 10000 Å³, which holds up to 585; the rest is scaled by the global "
        "curve alone. Set `complete_model` to True, or give a mask of the modelled part"
    ) in found.message
    assert check_coverage("m.pdb", 100, 10_000.0, 0.25, completed=True) == []
    (found,) = check_coverage("m.pdb", 9, 10_000.0, 0.03, completed=True)
    assert "the reference will consist of pseudo-atoms almost alone" in found.message
    assert check_coverage("m.pdb", 400, 10_000.0, 0.7, completed=False) == []


def test_findings_of_the_model_are_passed_on(case):
    observed, structure = case
    odd = structure.clone()
    odd[0][0][0][0].occ = 0.0
    assert codes(check_inputs(observed, model_of(odd, "m"))) == {"zero-occupancy"}


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [(3.0, set()), (8.0, set()), (9.0, {"poor-resolution"}), (12.0, {"poor-resolution"})],
)
def test_poor_resolution_is_a_warning(resolution, expected):
    assert codes(check_resolution(resolution)) == expected


def test_reference_that_ends_before_the_map_is_told():
    assert check_resolution(3.5, 5.0) == []
    (told,) = check_resolution(3.5, 20.0)
    assert told.code == "reference-cut" and told.level == "warning"
    assert "ends at 20 Å and the map at 3.5 Å" in told.message


def test_resolution_beyond_12_is_refused(case):
    with pytest.raises(InputError, match=r"resolution is 14\.0 Å, and beyond 12 Å"):
        check_inputs(case[0], resolution=14.0)


@pytest.mark.parametrize(
    ("name", "partner"),
    [
        ("run_half1_class001_unfil.mrc", "run_half2_class001_unfil.mrc"),
        ("emd_1234_half_map_2.map.gz", "emd_1234_half_map_1.map.gz"),
        ("J12_map_half_A.mrc", "J12_map_half_B.mrc"),
        ("half-map-1.mrc", "half-map-2.mrc"),
    ],
)
def test_partner_of_a_half_map_is_found_by_its_name(tmp_path, name, partner):
    (tmp_path / name).touch()
    assert partner_of(tmp_path / name) is None
    (tmp_path / partner).touch()
    assert partner_of(tmp_path / name) == tmp_path / partner


@pytest.mark.parametrize("name", ["emd_3488.mrc", "half.mrc", "half12.mrc", "behalf_of.mrc"])
def test_other_names_have_no_partner(tmp_path, name):
    for file in ("half1.mrc", "half2.mrc", "half22.mrc"):
        (tmp_path / file).touch()
    assert partner_of(tmp_path / name) is None


def test_half_maps_beside_a_full_map_are_offered(tmp_path):
    for name in ("emd_1.map.gz", "emd_1_half_map_1.map.gz", "emd_1_half_map_2.map.gz"):
        (tmp_path / name).touch()
    full = tmp_path / "emd_1.map.gz"
    assert halves_beside(full) is not None
    values = np.random.default_rng(1).normal(size=(16, 16, 16)).astype(np.float32)
    observed = ObservedMaps(Map(values, Grid((16, 16, 16), (2.0,) * 3)), None, None, "single")
    findings = check_inputs(observed, inputs=HybridInputs(full_map=full))
    assert codes(findings) == {"half-maps-beside"}
    findings = check_inputs(
        observed, inputs=HybridInputs(full_map=tmp_path / "emd_1_half_map_1.map.gz")
    )
    assert codes(findings) == {"partner-half-map"}


@cache
def real_haemoglobin():
    """EMD-3488 (single map) and the whole of 5NI1, real."""
    return (observed_of(EXAMPLES / "emd_3488.mrc.gz"), read_model(EXAMPLES / "5ni1.cif.gz"))


@pytest.mark.parametrize("place", range(10))
def test_scale_of_a_fragment_is_no_alarm(place):
    observed, whole = real_haemoglobin()
    length = int(np.linspace(21, 43, 10)[place])
    structure = whole.structure.clone()
    chain = structure[0][place % 4].clone()
    first = 7 * place
    fragment = [chain[i].clone() for i in range(first, first + length)]
    while len(structure[0]):
        del structure[0][0]
    new = gemmi.Chain("A")
    for residue in fragment:
        new.add_residue(residue)
    structure[0].add_chain(new)
    found = check_inputs(observed, model_of(structure, "fragment.cif"), resolution=3.2)
    assert "magnification" not in codes(found)


@pytest.mark.parametrize("factor", [0.97, 0.985, 1.0, 1.015, 1.03])
def test_voxel_size_of_a_real_map_is_told_by_the_whole_model(factor):
    observed, whole = real_haemoglobin()
    middle = whole.positions.mean(axis=0)
    scaled = replace(whole, positions=(whole.positions - middle) * factor + middle)
    found = {finding.code: finding for finding in check_inputs(observed, scaled, resolution=3.2)}
    assert ("magnification" in found) == (factor != 1.0)
    if factor != 1.0:
        assert found["magnification"].values["factor"] == pytest.approx(1 / factor, abs=0.003)


def test_a_model_in_lumps_of_noise_does_not_clearly_fit():
    grid = Grid((60, 60, 60), (1.2,) * 3)
    model = model_of(small_model(54, centre=box_centre(grid.shape, 1.2)), "m.pdb")
    lumps = ndimage.gaussian_filter(
        np.random.default_rng(9).standard_normal(grid.shape), 3, mode="wrap"
    )
    (found,) = check_fit(grid, FourierSpace(grid).forward(lumps), model, resolution=6.0)
    assert found.code == "model-fit-poor"
    # no order of the three numbers is claimed
    assert re.search(
        r"m.pdb does not clearly fit the map: its correlation is 0.0\d as it is, "
        r"0.0\d at best and 0.0\d for its mirror image",
        found.message,
    )
