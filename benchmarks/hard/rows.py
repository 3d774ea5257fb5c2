"""Everything that is measured on one harder case; runs in child processes.

A program's map is made and judged apart from the others, so that a broken command loses little.
"""

import json
from pathlib import Path

import numpy as np
from control import DRAWS
from simulated import basic, symmetry_of
from truth import read
from truth_rows import Bench

from locscale_hybrid.inputs.half_maps import ObservedMaps, read_observed
from locscale_hybrid.parameters import HybridInputs, HybridParameters

from . import peers, real
from .cases import case_named, names
from .make import halves_without_detail, make
from .measures import HardTruth

Figures = dict[str, object]


def listed(seeds: int) -> dict[str, Figures]:
    """Describe every case: its fields, whether its draw was seen before, what kind it is."""
    return {
        name: {"case": case_named(name).described(), "seen": case_named(name).seen}
        for name in names(seeds)
    } | {
        name: {"case": case.described(), "seen": case.seen, "real": True}
        for name, case in real.CASES.items()
    }


class HardBench(Bench):
    """A harder case, its finished run, and the means to scale it again.

    Parameters
    ----------
    name : str
    folder : Path
        For the case and its runs.
    given : dict, optional
        Density, model and resolution of a case of the user's own.
    """

    def __init__(self, name: str, folder: Path, given: dict[str, object] | None = None) -> None:
        self.case = real.given(**given) if given else real.CASES.get(name) or case_named(name)
        maker = real.make if isinstance(self.case, real.RealCase) else make
        self.folder = maker(self.case, folder / name)
        self.truth = HardTruth(self.folder, self.case.point_group)
        self.halves = self.folder / "half1.mrc", self.folder / "half2.mrc"
        self.observed = read_observed(HybridInputs(*self.halves), HybridParameters())[0]
        self.parameters = HybridParameters(point_group=self.case.point_group)
        group = symmetry_of(self.observed.average.grid, self.case.point_group)
        self.symmetry = None if group.is_trivial else group

    def pair(self) -> list[np.ndarray]:
        """Read the half maps in float64."""
        return [read(half) for half in self.halves]

    def in_control(self, values: np.ndarray) -> float:
        """FSC with the truth at the resolution, of a map made of halves without data there."""
        return self.truth.at_d_min(self.truth.fsc(values))

    def as_observed(self, pair: list[np.ndarray]) -> ObservedMaps:
        """Two arrays in place of the half maps."""
        average = self.observed.average
        half_1, half_2 = (average.with_values(half.astype(np.float32)) for half in pair)
        mean = average.with_values((half_1.values + half_2.values) / 2)
        return ObservedMaps(mean, half_1, half_2, "halves")


def measure_own(
    name: str, folder: str, draws: int = len(DRAWS), given: Figures | None = None
) -> Figures:
    """Measure this program: display map, linear map, control, what its record says."""
    bench = HardBench(name, Path(folder), given)
    stem = bench.run("default")
    scaled = bench.scaled(stem, bench.parameters.weight)
    found = {
        kind: bench.truth.judge(values.astype(float))
        for kind, values in (("own", scaled.output.values), ("linear", scaled.linear.values))
    }
    controls = []
    for draw in DRAWS[:draws]:
        pair = halves_without_detail(bench.case, bench.folder, draw)
        control = bench.scaled(stem, bench.parameters.weight, bench.as_observed(pair))
        controls.append(
            [bench.in_control(m.values.astype(float)) for m in (control.output, control.linear)]
        )
    for kind, value in zip(found, np.mean(controls, axis=0), strict=True):
        found[kind]["control"] = float(value)
    return found | {"run": _about_run(stem) | _truths(bench)}


def _about_run(stem: Path) -> Figures:
    """Collect what the record of a run says."""
    record = json.loads(stem.with_suffix(".json").read_text())
    return {
        "d": record["resolution"]["d_min_angstrom"],
        "pseudo_atoms": record["hybrid_model"]["pseudo_atoms"],
        "cpu_seconds": sum(stage["cpu_seconds"] for stage in record["timings"].values()),
        "warnings": sorted({f["code"] for f in record["findings"] if f["level"] == "warning"}),
    }


def _truths(bench: HardBench) -> Figures:
    """Resolution of the average by its noise-free signal (FSC 0.5), and the missing atoms."""
    truth = bench.truth
    clean = truth.masked(read(bench.folder / "clean.mrc"))
    full = truth.masked(bench.observed.average.values.astype(float))
    cross = truth._shells((clean * full.conj()).real)
    power = truth._shells(np.abs(clean) ** 2) * truth._shells(np.abs(full) ** 2)
    fsc = cross / np.sqrt(np.maximum(power, 1e-30))
    low = np.flatnonzero((fsc < 0.5) & (truth.frequency > 0.08))
    last = int(low[0]) if len(low) else len(fsc) - 1
    return {"d_true": float(1 / truth.frequency[last]), "missing_atoms": int(truth.gone.sum())}


def measure_relion_like(
    name: str, folder: str, draws: int = len(DRAWS), given: Figures | None = None
) -> Figures:
    """Measure one B factor for the whole map, and the map as it was given."""
    bench = HardBench(name, Path(folder), given)
    voxel, atoms = bench.case.voxel_size, len(bench.truth.full)
    made = peers.relion_like(*bench.pair(), voxel, atoms)
    figures = bench.truth.judge(made.values)
    controls = [
        peers.relion_like(*halves_without_detail(bench.case, bench.folder, draw), voxel, atoms)
        for draw in DRAWS[:draws]
    ]
    figures["control"] = float(np.mean([bench.in_control(c.values) for c in controls]))
    figures |= {"d": made.resolution, "b_factor": made.b_factor}
    unsharpened = bench.truth.judge(bench.observed.average.values.astype(float))
    return {"relion": figures, "unsharpened": unsharpened}


def measure_locscale(name: str, folder: str, program: str, control: bool = False) -> Figures:
    """Measure LocScale 2.4.1; its control costs as much again."""
    bench = HardBench(name, Path(folder))

    def run(halves: tuple[Path, Path]) -> np.ndarray:
        return peers.locscale(
            Path(program), bench.folder, halves, bench.case.resolution, bench.case.point_group
        )

    figures = bench.truth.judge(run(bench.halves))
    if control:
        without = bench.folder / "control1.mrc", bench.folder / "control2.mrc"
        pair = halves_without_detail(bench.case, bench.folder, DRAWS[0])
        for path, values in zip(without, pair, strict=True):
            basic.write_map(path, values, bench.case.voxel_size)
        figures["control"] = bench.in_control(run(without))
    return {"locscale": figures}


def measure_servalcat(name: str, folder: str, program: str) -> Figures:
    """Measure servalcat's normalised expected map, in the mask of the global sharpening."""
    bench = HardBench(name, Path(folder))
    voxel = bench.case.voxel_size
    like = peers.relion_like(*bench.pair(), voxel, len(bench.truth.full))
    values = peers.servalcat(Path(program), bench.halves, like, voxel)
    return {"servalcat": bench.truth.judge(values)}
