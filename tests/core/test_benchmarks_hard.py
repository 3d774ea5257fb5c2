"""The harder cases of the benchmarks: simulated maps, measures and tables on small cases."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gemmi
import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
SMALL = {"box": 48, "voxel_size": 1.5, "resolution": 4.5, "blur": 60.0}


@pytest.fixture
def module(monkeypatch):
    """Import a module as the folder sees it: it holds programs, no package."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        path = getattr(sys.modules[name], "__file__", None) or ""
        if path.startswith(str(FOLDER)):
            del sys.modules[name]


@pytest.fixture
def small(module):
    """Make a case of a small protein, simulated in a box of 48³."""
    cases = module("hard.cases")
    model = cases.DATA / "3J6B_9.pdb.gz"
    return lambda **fields: cases.HardCase(model, **{"drop_last": 0.3, **SMALL, **fields})


def coefficients_of_atoms(particle, indices, edge):
    """Sum the scattering factors of gemmi over atoms, directly."""
    atoms = [site.atom for site in particle.sites]
    positions = np.array([atom.pos.tolist() for atom in atoms])
    found = []
    for index in indices:  # z, y, x
        s = np.array(index[::-1]) / edge
        square = float(s @ s) / 4
        shape = np.array([atom.element.c4322.calculate_sf(square) for atom in atoms])
        fall = np.exp(-square * np.array([atom.b_iso for atom in atoms]))
        found.append((shape * fall * np.exp(-2j * np.pi * positions @ s)).sum())
    return np.array(found)


def test_the_truth_is_the_sum_of_the_scattering_factors_of_gemmi(module, small):
    case = small(solvent=0.0)
    particle = module("hard.particle").read_particle(case)
    truth, _ = module("hard.particle").density(case, particle, [particle.positions])
    indices = [(0, 0, 0), (3, 0, 1), (-4, 5, 2), (7, -2, 6), (0, 9, 3)]
    got = np.fft.rfftn(truth)[tuple(np.transpose(indices))] * case.voxel_size**3
    expected = coefficients_of_atoms(particle, indices, case.box * case.voxel_size)
    assert got == pytest.approx(expected, rel=0.01, abs=0.001 * abs(expected[0]))


def test_the_truth_of_a_moving_domain_is_the_mean_of_its_places(module, small):
    hard = module("hard.cases")
    case = small(motion=hard.Motion((1, 40), places=3), solvent=0.0)
    particle = module("hard.particle").read_particle(case)
    density = module("hard.particle").atoms_density
    places = module("hard.particle").places(case, particle, np.random.default_rng(1))
    moving = particle.in_range((1, 40))
    assert len(places) == 3 and (particle.group[moving] == "flex").all()
    assert all(np.array_equal(x[~moving], particle.positions[~moving]) for x in places)
    mean = sum(density(case, particle, [x]) for x in places) / 3
    # gemmi sums in float32
    assert density(case, particle, places) == pytest.approx(mean, abs=2e-3 * mean.max())


def test_rare_directions_have_so_much_more_noise_and_a_missing_cone_has_no_signal(module, small):
    made = module("hard.reconstruction")
    case = small(rare_cone=(40.0, 0.1), windowed=False)
    noise = np.abs(np.fft.rfftn(made.noise(case, np.random.default_rng(2)))) ** 2
    angle, shell = made.angle_to_z(case), np.abs(np.sqrt(case.s_squared) - 0.2) < 0.03
    within, outside = noise[shell & (angle < 25)].mean(), noise[shell & (angle > 55)].mean()
    assert within / outside == pytest.approx(10, rel=0.15)
    case = small(missing_cone=40.0)
    values = np.random.default_rng(3).normal(size=case.shape)
    shown = np.abs(np.fft.rfftn(made.in_halves(replace(case, blur=0.0), values)))
    given = np.abs(np.fft.rfftn(values))
    fine = np.sqrt(case.s_squared) > 0.05
    assert shown[fine & (angle < 25)].max() < 1e-3 * given.max()
    assert shown[fine & (angle > 55)] == pytest.approx(given[fine & (angle > 55)], rel=0.01)


def test_halves_agree_as_wanted_at_the_resolution_and_end_in_a_sphere(module, small, tmp_path):
    case = small(box=60)
    folder = module("hard.make").make(case, tmp_path / "case")
    truth = module("hard.measures").HardTruth(folder)
    first, second = (module("truth").read(folder / f"half{i}.mrc") for i in (1, 2))
    masked = [truth.masked(half) for half in (first, second)]
    cross = truth._shells((masked[0] * masked[1].conj()).real)
    fsc = cross / np.sqrt(np.prod([truth._shells(np.abs(m) ** 2) for m in masked], axis=0))
    near = np.abs(truth.frequency - 1 / case.resolution) < 0.02
    assert fsc[near].mean() == pytest.approx(0.143, abs=0.08)
    assert fsc[(truth.frequency > 0.02) & (truth.frequency < 0.1)].min() > 0.8
    corner = (slice(0, 6),) * 3
    assert not first[corner].any() and not second[corner].any()
    known = gemmi.read_structure(str(folder / "model_known.cif"))
    facts = json.loads((folder / "facts.json").read_text())
    assert sum(1 for _ in known[0].all()) == facts["atoms"] - facts["missing"]
    assert facts["groups"]["unm"] == facts["missing"] == truth.gone.sum()
    control = module("hard.make").halves_without_detail(case, folder, 3)
    assert truth.at_d_min(truth.fsc(sum(control) / 2)) < 0.25


def test_a_belt_is_around_the_particle_and_only_between_its_faces(module, small):
    case = small(belt=module("hard.cases").Belt(-8, 8, 10))
    particle = module("hard.particle").read_particle(case)
    belt = module("hard.particle").belt_density(case, particle, 1.0, np.random.default_rng(4))
    z = np.abs(np.arange(case.box) - case.box // 2) * case.voxel_size
    assert belt[z > 16].max() < 0.01 < 0.5 < belt[z < 4].max() < 1.6
    away = module("hard.particle").distance(case, particle.positions)
    assert belt[away < 1].max() < 0.5 * belt.max() and belt[away > 22].max() < 0.01


def test_mistakes_move_only_the_atoms_that_they_name(module, small):
    mistakes = module("hard.cases").Mistakes((1, 40), 1.25, (61, 75), (80, 100))
    case = small(drop_last=0.0, mistakes=mistakes)
    particle = module("hard.particle").read_particle(case)
    average = np.random.default_rng(5).normal(size=case.shape)
    wrong = module("hard.wrong_models").wrong_positions
    moved = wrong(case, particle, average, np.random.default_rng(6))
    shift = np.linalg.norm(moved - particle.positions, axis=1)
    by_group = {name: shift[particle.group == name] for name in np.unique(particle.group)}
    assert np.sqrt((by_group["bent"] ** 2).mean()) == pytest.approx(1.25)
    assert by_group["helix"].mean() > 3 and 0 < by_group["overfit"].mean() <= 1.2
    assert not by_group["mod"].any()


def test_one_b_factor_is_found_as_it_was_put_in(module):
    peers = module("hard.peers")
    box, voxel, b_factor = 48, 1.2, 85.0
    rng = np.random.default_rng(7)
    s = peers.Shells(box, voxel).s
    white = np.fft.rfftn(rng.normal(size=(box,) * 3))
    signal = np.fft.irfftn(white * np.exp(-b_factor * s**2 / 4), (box,) * 3, axes=(0, 1, 2))
    noise = 1e-4 * signal.std() * rng.normal(size=(2, *signal.shape))
    made = peers.relion_like(signal + noise[0], signal + noise[1], voxel, 600)
    assert made.b_factor == pytest.approx(-b_factor, abs=3)
    back = np.abs(np.fft.rfftn(made.values))[(s > 0.1) & (s < 0.3)]
    assert back == pytest.approx(np.abs(white)[(s > 0.1) & (s < 0.3)], rel=0.1)


def test_the_limit_of_a_global_sharpening_is_where_the_signal_ends(module, small, tmp_path):
    case = small()
    folder = module("hard.make").make(case, tmp_path / "case")
    halves = [module("truth").read(folder / f"half{i}.mrc") for i in (1, 2)]
    made = module("hard.peers").relion_like(*halves, case.voxel_size, 1428)
    assert made.resolution == pytest.approx(case.resolution, abs=0.4)
    assert 0 < made.mask.mean() < 0.5 and made.mask.max() == pytest.approx(1)


def test_measures_are_perfect_for_the_truth_and_find_the_blur_of_a_blurred_one(
    module, small, tmp_path
):
    case = small()
    truth = module("hard.measures").HardTruth(module("hard.make").make(case, tmp_path / "case"))
    perfect = truth.judge(truth.values)
    assert perfect["cc_all"] == perfect["cc_mod"] == pytest.approx(1)
    assert perfect["prof_all"] == pytest.approx(0) == pytest.approx(perfect["smoother"], abs=1e-6)
    assert perfect["fsc_near"] == pytest.approx(1)
    assert perfect["q_mod"] > 0.7 and perfect["solvent"] < 0.05
    blurred = truth.judge(case.filtered(truth.values, case.falloff(30.0)))
    assert blurred["smoother"] == pytest.approx(30, abs=1.5)
    assert blurred["prof_b"] < 0.05 < 0.1 < blurred["prof_all"]
    assert blurred["q_mod"] < perfect["q_mod"] and blurred["cc_b"] > blurred["cc_all"]


def test_the_model_of_a_real_map_is_in_its_density(module):
    real = module("hard.real")
    case = real.CASES["vp6-3.4"]
    density, structure = real.placed(case)
    positions = np.array([site.atom.pos.tolist() for site in structure[0].all()])
    away = module("hard.particle").distance(case, positions)
    truth = real.without_solvent(case, density, away)
    assert truth[away < 1].mean() > 3 * truth.std()
    assert abs(truth[away > 10]).max() < 0.02 * truth.max()
    blurred = real.blurred_here_and_there(case, truth, np.random.default_rng(8))
    most = case.filtered(truth, case.falloff(real.MOST_BLUR))
    assert most.std() < blurred.std() < truth.std()


def entry(seen=True, **figures):
    return {"seen": seen, "figures": figures, "measured": {}}


def test_the_summary_marks_where_another_program_is_ahead(module):
    tables = module("hard.tables")
    found = {
        "cone": entry(
            relion={"cc_all": 0.9, "prof_all": 0.1, "step": -0.2},
            own={"cc_all": 0.95, "prof_all": 0.2, "step": 0.05},
        ),
        "cone-seed101": entry(
            False, relion={"cc_all": 0.94, "prof_all": 0.3}, own={"cc_all": 0.94, "prof_all": 0.25}
        ),
    }
    lines = tables.summary(found).splitlines()
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert len(lines) == 3 and cells[0] == "cone"
    assert cells[1] == "0.90 / – / 0.95" and cells[3] == "0.10 / – / **0.20**"
    # the draws of "cone" differ by .05, and .1 is more
    assert [(name, worse) for name, *_, worse in tables.behind(found, "prof_all")] == [
        ("cone", True),
        ("cone-seed101", False),
    ]
    assert "cone (0.200, 0.100)" in tables.behind_table(found)
    assert "cone-seed101 †" in tables.long_table(found, tables.LONG)
    assert [worse for *_, worse in tables.behind(found, "step")] == [False]


def test_every_simulated_case_says_what_is_hard_about_it(module):
    assert set(module("hard.tables").ABOUT) == set(module("hard.cases").CASES)


def test_a_stopped_measurement_goes_on_where_it_was(module, monkeypatch, tmp_path):
    command = module("hard_validation")
    asked = []

    def run_job(job, **arguments):
        answer = {"a": {"case": {"box": 48}, "seen": True}}
        if "name" in arguments:
            asked.append((arguments["name"], job.partition(":")[2]))
            figures = {"cc_all": 0.9}
            own = "own" in job
            run = {"run": {"d": 3.0}} if own else {}
            answer = {"own" if own else "relion": figures} | run
        return SimpleNamespace(answer=answer)

    for name, value in (
        ("run_job", run_job),
        ("STORE", tmp_path / "hard.json"),
        ("source", lambda: "abc"),
        ("stamp", dict),
    ):
        monkeypatch.setattr(command, name, value)
    monkeypatch.setattr(sys, "argv", ["hard_validation.py", "--cases", str(tmp_path)])
    given, found = command._asked(), {}
    given.servalcat = None
    command._measure(given, found)
    assert asked == [("a", "measure_relion_like"), ("a", "measure_own")]
    command._measure(given, json.loads(command.STORE.read_text()))
    assert len(asked) == 2
    monkeypatch.setattr(command, "source", lambda: "def")
    command._measure(given, found)
    assert asked[2:] == [("a", "measure_own")]
    assert found["a"]["run"] == {"d": 3.0} and set(found["a"]["figures"]) == {"relion", "own"}
