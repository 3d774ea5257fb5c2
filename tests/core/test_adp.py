"""The stage: prior chosen on half map 2, what one map or coarse maps get, what is said."""

from dataclasses import replace

import numpy as np
import pytest

from locscale_hybrid.fourier.fsc import FscCurve
from locscale_hybrid.inputs.half_maps import ObservedMaps
from locscale_hybrid.refinement import restraint_weight
from locscale_hybrid.refinement.adp import BRefinement
from locscale_hybrid.refinement.b_steps import b_steps
from locscale_hybrid.refinement.model_fsc import ModelFsc, model_fsc, overfitting, with_model_alone
from locscale_hybrid.refinement.neighbours import neighbours_of
from locscale_hybrid.refinement.restraint_weight import TAUS, BProblem, TauTrial, _vertex
from locscale_hybrid.refinement.setup import refinement_data
from locscale_hybrid.scattering.scatterers import PSEUDO, Scatterers
from tests.synthetic import box_centre, half_maps, small_model

SHAPE, VOXEL, D_MIN = (52, 50, 60), 1.1, 3.2


def averaged(half_1, half_2):
    return half_1.with_values((half_1.values + half_2.values) / 2)


@pytest.fixture(scope="module")
def case():
    """Half maps of a bundle of helices, simulated, and the atoms without their B."""
    structure = small_model(72, centre=box_centre(SHAPE, VOXEL), b_iso=(20, 110))
    half_1, half_2, _ = half_maps(structure, SHAPE, VOXEL, D_MIN, seed=5, blur=80, solvent=0.3)
    maps = ObservedMaps(averaged(half_1, half_2), half_1, half_2, "halves")
    sites = [site.atom for site in structure[0].all()]
    atoms = Scatterers(
        half_1.grid, [atom.pos.tolist() for atom in sites], [atom.element.name for atom in sites]
    )
    return maps, atoms, np.array([atom.b_iso for atom in sites])


def no_pseudo(atoms):
    return np.zeros(len(atoms), dtype=bool)


def refine_adps(data, atoms, start, is_pseudo, *, kind, tau=None, shifts=False, **how):
    """Both steps of the refinement, one after the other."""
    refinement = BRefinement(BProblem(data, atoms, is_pseudo, kind), **how)
    return refinement.fit(refinement.choose_tau(start, tau, shifts=shifts))


def test_tau_is_near_the_one_with_the_largest_free_fsc(case):
    maps, atoms, b = case
    done = []
    result = refine_adps(
        refinement_data(maps, D_MIN),
        atoms,
        np.full(len(b), 40.0),
        no_pseudo(atoms),
        kind="halves",
        progress=done.append,
    )
    best = max(result.scan, key=lambda trial: trial.free)
    around = sorted(trial.tau for trial in result.scan)
    place = around.index(best.tau)
    assert around[max(place - 1, 0)] <= result.tau <= around[min(place + 1, len(around) - 1)]
    assert result.validated and result.findings == ()
    assert [trial.tau for trial in result.scan] == list(TAUS[: len(result.scan)])
    work = [trial.work for trial in result.scan]
    assert work == sorted(work)  # a weaker prior always fits half map 1 better
    assert done == sorted(done) and done[0] > 0 and done[-1] <= 1
    assert np.corrcoef(result.b_iso, b)[0, 1] > 0.95
    assert (result.n_low, result.n_high) == (0, 0)
    assert np.array_equal(result.occupancies, atoms.occupancies)


def test_the_scan_does_not_look_at_half_map_2_except_to_judge(case):
    maps, atoms, b = case
    start = np.full(len(b), 100.0)
    other = maps.half_2.with_values(maps.half_2.values[::-1].copy())
    swapped = ObservedMaps(maps.average, maps.half_1, other, "halves")
    plain, judged = (
        refine_adps(refinement_data(given, D_MIN), atoms, start, no_pseudo(atoms), kind="halves")
        for given in (maps, swapped)
    )
    assert judged.scan[0].free < 0.2 * plain.scan[0].free


def test_a_half_map_2_of_noise_selects_the_strongest_prior_and_is_flagged(case):
    maps, atoms, b = case
    noise = np.random.default_rng(1).normal(0, maps.half_2.values.std(), SHAPE)
    half_2 = maps.half_2.with_values(noise.astype(np.float32))
    data = refinement_data(
        ObservedMaps(averaged(maps.half_1, half_2), maps.half_1, half_2, "halves"), D_MIN
    )
    result = refine_adps(data, atoms, np.full(len(b), 100.0), no_pseudo(atoms), kind="halves")
    assert result.tau == TAUS[0]
    (finding,) = result.findings
    assert finding.code == "half-2-noise" and finding.level == "warning"
    assert "holds only noise" in finding.message and "check the pair" in finding.message


def test_errors_of_coordinates_do_not_pass_for_disorder(case):
    maps, atoms, b = case
    noise = np.random.default_rng(7).normal(0, 0.3 / 3**0.5, atoms.positions.shape)
    wrong = Scatterers(atoms.grid, atoms.positions + noise, atoms.species)
    data, start = refinement_data(maps, D_MIN), np.full(len(b), 100.0)
    result = refine_adps(data, wrong, start, no_pseudo(atoms), kind="halves")
    (finding,) = result.findings
    assert finding.code == "coordinate-errors" and finding.level == "note"
    assert 0.05 < finding.values["rms_shift_angstrom"] < 0.3
    assert finding.values["fsc_free_before"] < finding.values["fsc_free_after"]
    assert "with half map 2 from 0." in finding.message
    assert "B factors were refined with such shifts" in finding.message
    assert finding.message.endswith("the model itself was not moved")
    assert np.array_equal(wrong.positions, atoms.positions + noise)
    plain = refine_adps(data, wrong, start, no_pseudo(atoms), kind="halves", tau=result.tau)
    assert np.std(result.b_iso - b) < 0.9 * np.std(plain.b_iso - b)
    known = refine_adps(
        data, wrong, start, no_pseudo(atoms), kind="halves", tau=result.tau, shifts=True
    )
    assert np.std(known.b_iso - b) < 0.9 * np.std(plain.b_iso - b)


@pytest.mark.parametrize("kind", ["single", "pseudo-halves"])
def test_one_map_is_refined_with_tau_10_and_said_not_to_be_validated(case, kind):
    maps, atoms, b = case
    halves = (None, None) if kind == "single" else (maps.half_1, maps.half_2)
    data = refinement_data(ObservedMaps(maps.average, *halves, kind), D_MIN)
    result = refine_adps(data, atoms, np.full(len(b), 100.0), no_pseudo(atoms), kind=kind)
    assert result.tau == 10 and not result.validated and result.scan == ()
    (finding,) = result.findings
    assert finding.code == "adp-not-validated"
    assert "not validated by a half map: there is one map; tau 10 Å² was used" in finding.message
    assert np.corrcoef(result.b_iso, b)[0, 1] > 0.9


def test_a_tau_that_is_given_is_used_and_said_not_to_be_validated(case):
    maps, atoms, b = case
    result = refine_adps(
        refinement_data(maps, D_MIN),
        atoms,
        np.full(len(b), 100.0),
        no_pseudo(atoms),
        kind="halves",
        tau=6.5,
    )
    assert result.tau == 6.5 and not result.validated
    assert "tau was given; tau 6.5 Å² was used" in result.findings[0].message


def test_beyond_6_angstrom_model_and_pseudo_atoms_have_one_b_each(case):
    maps, atoms, b = case
    is_pseudo = atoms.positions[:, 2] > np.median(atoms.positions[:, 2])
    hybrid = Scatterers(atoms.grid, atoms.positions, np.where(is_pseudo, PSEUDO, atoms.species))
    result = refine_adps(
        refinement_data(maps, 7.0), hybrid, np.full(len(b), 100.0), is_pseudo, kind="halves"
    )
    assert np.ptp(result.b_iso[is_pseudo]) == 0 and np.ptp(result.b_iso[~is_pseudo]) == 0
    assert result.b_iso.min() > 80 and result.b_iso.max() < 260
    (finding,) = result.findings
    assert finding.code == "adp-coarse" and "at 7 Å" in finding.message
    assert "one B for the model and one for the pseudo-atoms" in finding.message


def test_pseudo_atoms_are_corrected_by_local_power_after_all_b_are_refined(case):
    maps, atoms, b = case
    is_pseudo = atoms.positions[:, 2] > np.quantile(atoms.positions[:, 2], 0.7)
    species = np.where(is_pseudo, PSEUDO, atoms.species)
    given = Scatterers(atoms.grid, atoms.positions, species)
    data = refinement_data(maps, D_MIN)
    start, near = np.full(len(b), 100.0), neighbours_of(atoms.positions)
    plain = b_steps(data.average, given, start, near, tau=8.0, n_steps=5).b_iso
    local = refine_adps(data, given, start, is_pseudo, kind="halves", tau=8.0)
    assert np.array_equal(plain[~is_pseudo], local.b_iso[~is_pseudo])
    assert not np.array_equal(plain[is_pseudo], local.b_iso[is_pseudo])
    assert (local.occupancies[~is_pseudo] == 1).all()
    assert not (local.occupancies[is_pseudo] == 1).all()
    assert (given.occupancies == 1).all()


def test_fsc_of_the_model_with_the_maps_is_high_to_d_min_and_none_for_one_map(case):
    maps, atoms, b = case
    fsc = model_fsc(refinement_data(maps, D_MIN), atoms, b + 80)
    assert 0.3 < fsc.free < fsc.work < 0.8  # without a mask
    assert fsc.average.at(8.0) > 0.9
    assert abs(fsc.average.at(2.3)) < fsc.average.at(4.0)
    assert len(fsc.half_1.correlation) == len(fsc.average.correlation)
    alone = model_fsc(
        refinement_data(ObservedMaps(maps.average, None, None, "single"), D_MIN), atoms, b + 80
    )
    assert alone.half_1 is None and alone.work is None


def test_a_model_that_half_map_2_does_not_confirm_is_a_finding():
    curve = FscCurve(np.array([0.0, 0.1]), np.array([1.0, 0.5]))
    assert overfitting(ModelFsc(curve, curve, curve, 0.55, 0.54)) is None
    assert overfitting(ModelFsc(curve, None, None, None, None)) is None
    better = overfitting(ModelFsc(curve, curve, curve, 0.42, 0.70))
    assert better.code == "free-above-work" and "0.700, and 0.420 with half map 1" in better.message
    finding = overfitting(ModelFsc(curve, curve, curve, 0.40, 0.10))
    assert finding.level == "warning" and finding.values == {"fsc_work": 0.4, "fsc_free": 0.1}
    assert "mean FSC of 0.400 and half map 2 with 0.100: B factors" in finding.message
    assert finding.message.endswith("Check that both half maps are of one reconstruction.")
    pseudo = overfitting(ModelFsc(curve, curve, curve, 0.40, 0.10, (0.31, 0.30)))
    assert "without pseudo-atoms fits them with 0.310 and 0.300, so it is the" in pseudo.message
    assert pseudo.message.endswith(
        "Give a mask of the particle alone (`mask`), or give a more complete model (`model`)."
    )
    assert pseudo.values["fsc_free_model"] == 0.3
    noisy = overfitting(ModelFsc(curve, curve, curve, 0.40, 0.10, (0.3, 0.1)))
    assert noisy.message.endswith("and that half map 2 is not noisier.")


def test_what_fits_noise_is_found_by_leaving_the_pseudo_atoms_out(case):
    maps, atoms, b = case
    data = refinement_data(maps, D_MIN)
    crowd = np.random.default_rng(3).uniform(5, 50, (4000, 3))
    crowded = Scatterers(
        atoms.grid, np.vstack([atoms.positions, crowd]), np.append(atoms.species, [PSEUDO] * 4000)
    )
    is_pseudo = np.arange(len(crowded)) >= len(b)
    given = ModelFsc(model_fsc(data, atoms, b).average, None, None, 0.7, 0.4)
    found = with_model_alone(
        given, data, crowded, np.append(b + 80, np.full(4000, 90.0)), is_pseudo
    )
    plain = model_fsc(data, atoms, b + 80)
    assert found.alone == pytest.approx((plain.work, plain.free), abs=0.01)
    fine = replace(given, free=0.68)
    assert with_model_alone(fine, data, crowded, np.ones(len(crowded)), is_pseudo) is fine


def test_the_scan_stops_at_the_first_tau_past_the_best(case, monkeypatch):
    maps, atoms, b = case
    monkeypatch.setattr(restraint_weight, "TAUS", (3.0, 8.0, 200.0, 300.0, 400.0))
    result = refine_adps(
        refinement_data(maps, D_MIN), atoms, np.full(len(b), 100.0), no_pseudo(atoms), kind="halves"
    )
    free = [trial.free for trial in result.scan]
    assert free[-1] < max(free)
    assert free[:-1] == sorted(free[:-1])


def test_tau_is_the_top_of_a_parabola_over_ln_tau():
    trials = tuple(
        TauTrial(tau, 0.5, 0.5 - 0.01 * np.log(tau / 9.5) ** 2)
        for tau in (3.0, 5.0, 8.0, 12.0, 18.0)
    )
    assert _vertex(trials) == pytest.approx(9.5, abs=0.01)


@pytest.mark.parametrize("best", [0, 2])
def test_the_first_or_last_tau_of_a_scan_is_taken_as_it_is(best):
    free = [0.1, 0.1, 0.1]
    free[best] = 0.2
    trials = tuple(
        TauTrial(tau, 0.5, value) for tau, value in zip((3.0, 5.0, 8.0), free, strict=True)
    )
    assert _vertex(trials) == (3.0, 5.0, 8.0)[best]
