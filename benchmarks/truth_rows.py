"""Everything that is measured on one simulated case with known truth; runs in a child process."""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from control import DRAWS, without_data
from reference_error import reference_error
from scipy.spatial import cKDTree
from seen import seen_weight
from simulated import CASES, Case, make
from truth import Truth, positions_of, read

from locscale_hybrid import run_hybrid
from locscale_hybrid.inputs.half_maps import ObservedMaps, read_observed
from locscale_hybrid.maps.grid import Map
from locscale_hybrid.maps.mrc import read_map
from locscale_hybrid.model.structure import read_model
from locscale_hybrid.outputs import output_paths
from locscale_hybrid.parallel.executors import SerialExecutor
from locscale_hybrid.parameters import HybridInputs, HybridParameters
from locscale_hybrid.progress import Progress
from locscale_hybrid.refinement.adp import BRefinement
from locscale_hybrid.refinement.restraint_weight import BProblem
from locscale_hybrid.refinement.setup import refinement_data
from locscale_hybrid.scaling.scale import scale_map
from locscale_hybrid.scaling.scaled_maps import ScaledMaps
from locscale_hybrid.scaling.scaling_input import ScalingInput
from locscale_hybrid.scattering.scatterers import Scatterers
from locscale_hybrid.symmetry.operators import symmetry_of

POLICIES = ("adaptive", "smooth", "soft", "fdr", "none")
KEPT = frozenset({"reference", "mask", "model"})
WRONG = 0.3  # Å rms, error of coordinates


class Bench:
    """A case, its finished run, and the means to scale it again.

    Parameters
    ----------
    name : str
    folder : Path
        For the case and its runs.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.case: Case = CASES[name]
        self.folder = make(self.case, folder / name)
        self.truth = Truth(self.folder, self.case.point_group)
        self.halves = self.folder / "half1.mrc", self.folder / "half2.mrc"
        self.observed = read_observed(HybridInputs(*self.halves), HybridParameters())[0]
        self.parameters = HybridParameters(point_group=self.case.point_group)
        grid = self.observed.average.grid
        group = symmetry_of(grid, self.case.point_group)
        self.symmetry = None if group.is_trivial else group

    def run(self, tail: str, model: str = "model_partial.cif", **parameters: object) -> Path:
        """Do a whole run; return the stem of its files."""
        stem = self.folder / f"run_{tail}"
        inputs = HybridInputs(*self.halves, model=self.folder / model)
        run_hybrid(
            inputs,
            replace(self.parameters, outputs=KEPT, **parameters),
            output_paths(stem.with_suffix(".mrc")),
        )
        return stem

    def scaled(self, stem: Path, policy: str, observed: ObservedMaps | None = None) -> ScaledMaps:
        """Do the run's last stage once more, with another weight or other maps."""
        record = json.loads(stem.with_suffix(".json").read_text())
        reference, mask = (self._of_run(stem, name) for name in ("reference", "mask"))
        return scale_map(
            ScalingInput(
                observed or self.observed,
                reference,
                mask.values,
                record["resolution"]["d_min_angstrom"],
                replace(self.parameters, weight=policy),
                self.symmetry,
            ),
            SerialExecutor(),
            self.folder,
            Progress(),
        )

    def _of_run(self, stem: Path, name: str) -> Map:
        """Read a map that a run has left."""
        return read_map(stem.with_name(f"{stem.name}_{name}.mrc"))


def measure_case(name: str, folder: str, brief: bool = False) -> dict[str, object]:
    """Measure all figures of a case: policies, control, the perfect model, re-seeding."""
    bench = Bench(name, Path(folder))
    began = time.process_time()
    stem = bench.run("default")
    spent = time.process_time() - began
    result: dict[str, object] = {"case": bench.case.described(), "run_cpu_seconds": spent}
    result["run"] = _about_run(bench, stem) | _b_errors(bench, stem, "model_partial.cif")
    policies = ("adaptive",) if brief else POLICIES
    result["policies"] = {policy: _judged(bench, bench.scaled(stem, policy)) for policy in policies}
    result["frequency_per_angstrom"] = bench.truth.frequency.round(5).tolist()
    result["control"] = _control(bench, stem, policies)
    result["weight"] = _about_weight(bench, stem)
    result["reseeded"] = _reseeded(bench, stem)
    perfect = bench.run("perfect", "model_full.cif", complete_model=False)
    result["perfect"] = {
        policy: _judged(bench, bench.scaled(perfect, policy))
        for policy in ("adaptive", "soft")
        if policy in policies
    }
    result["perfect_run"] = _about_run(bench, perfect) | _b_errors(bench, perfect, "model_full.cif")
    if bench.symmetry is None:
        result["perfect_run"] |= _b_errors_beside(bench, result["run"]["d_min"])
    result["unscaled"] = bench.truth.judge(bench.observed.average.values.astype(float))
    return result


def _judged(bench: Bench, scaled: ScaledMaps) -> dict[str, float]:
    """Measures of the display map, and the FSC of the linear map and its halves."""
    truth = bench.truth
    result = truth.judge(scaled.output.values.astype(float))
    linear = truth.fsc(scaled.linear.values.astype(float))
    result["linear_fsc_d"] = truth.at_d_min(linear)
    for name, beyond in (("d", 1.0), ("1.1d", 1.1)):
        result |= _honesty(bench, scaled, linear, name, beyond)
    return result


def _honesty(
    bench: Bench, scaled: ScaledMaps, linear: np.ndarray, name: str, beyond: float
) -> dict[str, float]:
    """C_ref of sharpened and of given halves less the true FSC of their averages."""
    truth, given = bench.truth, bench.observed
    sharpened = truth.half_fsc(scaled.half_1.values, scaled.half_2.values)
    unscaled = truth.half_fsc(given.half_1.values, given.half_2.values)
    true = truth.fsc(given.average.values.astype(float))
    return {
        f"honesty_sharpened_{name}": truth.at_d_min(sharpened - linear, beyond),
        f"honesty_unscaled_{name}": truth.at_d_min(unscaled - true, beyond),
    }


def _control(bench: Bench, stem: Path, policies: tuple[str, ...]) -> dict[str, dict[str, object]]:
    """FSC with the truth where the data hold nothing, at d_min and as curves; mean of the draws."""
    curves: dict[str, list[np.ndarray]] = {policy: [] for policy in policies}
    for seed in DRAWS:
        observed = without_data(bench.observed, bench.case.resolution, seed, bench.symmetry)
        for policy in policies:
            scaled = bench.scaled(stem, policy, observed)
            curves[policy].append(
                np.array(
                    [
                        bench.truth.fsc(given.values.astype(float))
                        for given in (scaled.output, scaled.linear)
                    ]
                )
            )
    found: dict[str, dict[str, object]] = {}
    for policy, draws in curves.items():
        mean = dict(zip(("output", "linear"), np.mean(draws, axis=0), strict=True))
        found[policy] = {name: bench.truth.at_d_min(curve) for name, curve in mean.items()}
        found[policy] |= {f"{name}_curve": curve.round(4).tolist() for name, curve in mean.items()}
    return found


def _about_weight(bench: Bench, stem: Path) -> dict[str, float]:
    """Measure where the default weight shuts the map."""
    with seen_weight(bench.case.resolution) as seen:
        scaled = bench.scaled(stem, "adaptive")
    looking = scaled.weight.values
    band = seen.whole(looking.shape, bench.parameters.window)
    near = bench.truth.region["all"]
    at_atoms = looking[tuple(np.rint(bench.truth.full[:, ::-1] / bench.truth.voxel).astype(int).T)]
    return {
        "shut_at_d_min": float((looking * band < 0.01)[near].mean()),
        "shut_by_looking": float((looking < 0.01)[near].mean()),
        "least_at_atoms": float(at_atoms.min()),
        "atoms_below_half": float((at_atoms < 0.5).mean()),
    }


def _reseeded(bench: Bench, stem: Path) -> float:
    """Change of the default map when pseudo-atoms start elsewhere: rms over sd, in the mask."""
    other = bench.run("reseeded", seed=2)
    inside = read(stem.with_name(f"{stem.name}_mask.mrc")) > 0.5
    first, second = (read(path.with_suffix(".mrc"))[inside] for path in (stem, other))
    return float(np.sqrt(np.mean((first - second) ** 2)) / first.std())


def _about_run(bench: Bench, stem: Path) -> dict[str, object]:
    """Collect what the record of a run says, and how good its mask and reference are."""
    record = json.loads(stem.with_suffix(".json").read_text())
    mask = read(stem.with_name(f"{stem.name}_mask.mrc"))
    reference = read(stem.with_name(f"{stem.name}_reference.mrc"))
    near = bench.truth.region["all"]
    adp = record["adp"]
    free = adp["refined_on_half_map_1"]
    return {
        "d_min": record["resolution"]["d_min_angstrom"],
        "timings": record["timings"],
        "hybrid_model": record["hybrid_model"],
        "n_missing": int(bench.truth.gone.sum()),
        "tau": adp["tau_square_angstrom"],
        "fsc_work": free["fsc_work"],
        "fsc_free": free["fsc_free"],
        "outside_mask": float((mask[near] < 0.5).mean()),
        **reference_error(bench.truth, reference),
    }


def _b_errors(bench: Bench, stem: Path, model: str) -> dict[str, float]:
    """Refined B of the atoms that a run was given against the true ones, after a common shift."""
    given, _ = positions_of(bench.folder / model)
    positions, b_iso = positions_of(stem.with_name(f"{stem.name}_model.cif"))
    distance, match = cKDTree(positions).query(given)
    true = bench.truth.b_iso[cKDTree(bench.truth.full).query(given)[1]]
    b_iso, true = b_iso[match][distance < 0.01], true[distance < 0.01]
    return {
        "b_rmsd": float((b_iso - true).std()),
        "b_correlation": float(np.corrcoef(b_iso, true)[0, 1]),
        "b_atoms": len(true),
    }


def _b_errors_beside(bench: Bench, d_min: float) -> dict[str, float]:
    """Measure the same if all coordinates of the complete model are wrong by 0.3 Å rms."""
    data = refinement_data(bench.observed, d_min)
    model = read_model(bench.folder / "model_full.cif")
    noise = np.random.default_rng([bench.case.seed, 6]).normal(0, WRONG / 3**0.5, (len(model), 3))
    atoms = Scatterers(data.grid, model.positions + noise, model.elements, model.occupancies)
    problem = BProblem(data, atoms, np.zeros(len(model), dtype=bool), "halves")
    refinement = BRefinement(problem)
    adps = refinement.fit(refinement.choose_tau(np.full(len(model), 100.0)))
    return {
        "b_rmsd_beside": float((adps.b_iso - model.b_iso).std()),
        "b_correlation_beside": float(np.corrcoef(adps.b_iso, model.b_iso)[0, 1]),
    }
