"""How often a warning is false, and how often it comes where it is true.

    python benchmarks/false_alarms.py                the table, into docs/tables/false_alarms.md
    python benchmarks/false_alarms.py --seeds 3      draws of noise of every case
    python benchmarks/false_alarms.py --hard FOLDER  also cases made before, such as those that
                                                     hard_validation.py leaves in cases/hard:
                                                     FOLDER/CASE with half1.mrc, half2.mrc and
                                                     model_partial.cif

    python benchmarks/false_alarms.py --runs FOLDER  only docs/tables/whole_runs.md: what whole runs
                                                     found, from the records FOLDER/*.json

The checks of a run and its mask and resolution are made, not whole runs.  What a completion and a
refinement find (coverage, coordinate errors, overfitting) is counted from records of whole runs.  All maps are SIMULATED: the cases of
simulated.py with white noise in the whole box; with white noise in a soft sphere, as RELION writes
it; with the noise of a reconstruction in that sphere; and the mean of two halves as one map.
A warning is true where the maps were spoilt for it, on the first of those conditions.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import simulated
from hard.reconstruction import reconstruction_spectrum, soft_sphere
from scipy import ndimage
from table import table

from locscale_hybrid.errors import InputError
from locscale_hybrid.inputs.checks import check_inputs, check_resolution
from locscale_hybrid.inputs.half_maps import ObservedMaps, observe_halves, observe_one
from locscale_hybrid.maps.grid import Grid, Map
from locscale_hybrid.maps.mrc import read_map
from locscale_hybrid.masking.mask import confidence_mask
from locscale_hybrid.masking.resolution import find_resolution
from locscale_hybrid.model.structure import AtomicModel, model_of, read_model
from locscale_hybrid.symmetry.operators import Symmetry, symmetry_of

TABLE = simulated.ROOT / "docs/tables/false_alarms.md"
RUNS = simulated.ROOT / "docs/tables/whole_runs.md"
NAMES = (
    "enolase-3.0",
    "plasmepsin-D2-3.2",
    "enolase-4.0",
    "haemoglobin-3.4",
    "enolase-3.0-half",
    "enolase-3.0-coordinates",
    "trpv1-C4-3.4",
)
SPOILT = ("enolase-3.0", "haemoglobin-3.4")
HEAD = ("warning", "false alarms", "cases without its cause", "true alarms", "cases with it")
REFUSED = "refused"
# what else the checks may say; it is not caused here
OTHERS = (
    "fsc-returns",
    "halves-differ",
    "halves-mirrored",
    "model-fit-poor",
    "no-noise",
    "poor-resolution",
    "resolution-unknown",
    "symmetry-weak",
    REFUSED,
)


@dataclass
class Subject:
    """Maps and a model to check."""

    halves: tuple[Map, Map]
    model: AtomicModel | None = None
    group: Symmetry | None = None
    cause: str | None = None  # the code that is true of it
    single: bool = False

    def observed(self) -> ObservedMaps:
        """Read the maps as a run does."""
        first, second = self.halves
        if not self.single:
            return observe_halves(first, second)
        full = first.with_values((first.values + second.values) / 2, "full map")
        return observe_one(full, np.random.default_rng(1))


@dataclass
class Counts:
    """Alarms and cases."""

    false: int = 0
    clean: int = 0
    true: int = 0
    spoilt: int = 0
    where: list[str] = field(default_factory=list)


def warnings_of(subject: Subject) -> set[str]:
    """Codes of the warnings of the checks, the mask and the resolution; or that it is refused."""
    findings, refused = [], set()
    try:
        observed = subject.observed()
        findings += check_inputs(observed, subject.model, subject.group)
        mask = confidence_mask(observed, fdr=0.01, resolution=find_resolution(observed).d_min)
        found = find_resolution(observed, mask=mask.soft, model=subject.model)
        findings += [*mask.findings, *found.findings, *check_resolution(found.d_min)]
    except InputError as error:
        print(f"    refused: {error}", flush=True)
        refused = {REFUSED}
    return {finding.code for finding in findings if finding.level == "warning"} | refused


def clean(seeds: int) -> Iterator[tuple[str, Subject]]:
    """Make the simulated cases under every condition."""
    for name in NAMES:
        case = simulated.case_named(name)
        structure, _, signal, sd = simulated.noiseless(case)
        grid = Grid(case.shape, (case.voxel_size,) * 3)
        model = model_of(simulated.given_model(case, structure), "model.cif")
        group = None if case.point_group == "C1" else symmetry_of(grid, case.point_group)
        sphere, spectrum = soft_sphere(case), reconstruction_spectrum(case)
        for seed in range(1, seeds + 1):
            rng = np.random.default_rng([seed, case.seed])
            white = [simulated.noise(case, sd, rng) for _ in range(2)]
            coloured = [case.filtered(noise, spectrum) for noise in white]
            for condition, noise, window in (
                ("box", white, 1.0),
                ("sphere", white, sphere),
                ("reconstruction", coloured, sphere),
            ):
                halves = as_maps([(signal + part) * window for part in noise], grid)
                subject = Subject(halves, model, group)
                yield f"{name} {condition} {seed}", subject
                if condition != "box":
                    yield f"{name} {condition} one map {seed}", replace(subject, single=True)


def as_maps(values: list[np.ndarray], grid: Grid) -> tuple[Map, Map]:
    """Two arrays as half maps."""
    return (
        Map(values[0].astype(np.float32), grid, "half map 1"),
        Map(values[1].astype(np.float32), grid, "half map 2"),
    )


def spoilt() -> Iterator[tuple[str, Subject]]:
    """Cases that were given a fault, each with the warning that names it."""
    for name in SPOILT:
        case = simulated.case_named(name)
        structure, _, signal, sd = simulated.noiseless(case)
        grid = Grid(case.shape, (case.voxel_size,) * 3)
        model = model_of(simulated.given_model(case, structure), "model.cif")
        rng = np.random.default_rng([99, case.seed])
        first, second = (signal + simulated.noise(case, sd, rng) for _ in range(2))
        third = simulated.noise(case, sd, rng)
        tight = tight_mask(signal, case)
        soft = case.falloff(400.0)
        edge = 0.5 - 0.49999 * np.tanh(450 * (np.sqrt(case.s_squared) - 1 / 4.0))
        ends = np.exp(-(np.maximum(np.sqrt(case.s_squared) - 1 / case.resolution, 0) ** 2) / 2e-4)
        sharp = case.falloff(-case.blur - 40) * ends
        pairs: dict[str, list[np.ndarray]] = {
            "masked-input": [first * tight, second * tight],
            "filtered-input": [case.filtered(half, edge) for half in (first, second)],
            "sharpened-input": [case.filtered(half, sharp) for half in (first, second)],
            "halves-unlike": [first, case.filtered(second, soft)],
            "halves-dependent": [first, (first + second) / 2],
            "halves-shifted": [first, ndimage.shift(second, (1.5, 0, 0), order=1, mode="wrap")],
            "halves-unrelated": [first, turned(signal) + third],
            "hand-inverted": [half[:, :, ::-1] for half in (first, second)],
        }
        for code, pair in pairs.items():
            maps = as_maps([np.ascontiguousarray(half) for half in pair], grid)
            yield f"{name} {code}", Subject(maps, model, cause=code)
        yield (
            f"{name} magnification",
            Subject(
                as_maps([first, second], Grid(case.shape, (1.03 * case.voxel_size,) * 3)),
                moved(model, 0.03 * (case.box // 2) * case.voxel_size),
                cause="magnification",
            ),
        )
        yield (
            f"{name} model-shifted",
            Subject(
                as_maps([first, second], grid),
                moved(model, np.array([1.6, 0, 0])),
                cause="model-shifted",
            ),
        )


def tight_mask(signal: np.ndarray, case: simulated.Case) -> np.ndarray:
    """Make a soft mask in the shape of the particle."""
    dense = signal > 0.3 * np.quantile(signal, 0.995)
    return np.clip(
        ndimage.gaussian_filter(ndimage.binary_dilation(dense, iterations=3).astype(float), 1.5)
        - 0.02,
        0,
        None,
    )


def turned(values: np.ndarray) -> np.ndarray:
    """Turn a map by an arbitrary angle."""
    return np.asarray(ndimage.rotate(values, 37.0, (0, 2), reshape=False, order=1, mode="wrap"))


def moved(model: AtomicModel, shift: np.ndarray | float) -> AtomicModel:
    """Shift a model by Å along x, y, z."""
    return replace(model, positions=model.positions + shift)


def made_elsewhere(folder: Path) -> Iterator[tuple[str, Subject]]:
    """Cases in folders, as two halves and as one map."""
    for case in sorted(path.parent for path in folder.glob("*/half1.mrc")):
        pair = read_map(case / "half1.mrc"), read_map(case / "half2.mrc")
        subject = Subject(pair, read_model(case / "model_partial.cif"))
        yield f"elsewhere: {case.name}", subject
        yield f"elsewhere: {case.name} one map", replace(subject, single=True)


def counted(subjects: Iterator[tuple[str, Subject]], counts: dict[str, Counts]) -> tuple[int, int]:
    """Add the alarms of subjects; numbers of clean and spoilt ones."""
    n_clean = n_spoilt = 0
    for name, subject in subjects:
        found = warnings_of(subject)
        print(f"{name}: {', '.join(sorted(found)) or '-'}", flush=True)
        if subject.cause is not None:
            n_spoilt += 1
            counts[subject.cause].spoilt += 1
            counts[subject.cause].true += subject.cause in found
            continue
        n_clean += 1
        for code in found:
            counts[code].false += 1
            counts[code].where.append(name)
    return n_clean, n_spoilt


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2, help="draws of noise of every case")
    parser.add_argument("--hard", type=Path, metavar="FOLDER", help="cases made elsewhere")
    parser.add_argument("--runs", type=Path, metavar="FOLDER", help="count records of whole runs")
    asked = parser.parse_args()
    if asked.runs is not None:
        RUNS.write_text(text := whole_runs(asked.runs))
        print(text)
        return
    counts: dict[str, Counts] = defaultdict(Counts, {code: Counts() for code in OTHERS})
    _, n_spoilt = counted(spoilt(), counts)
    n_clean, _ = counted(clean(asked.seeds), counts)
    if asked.hard is not None:
        n_clean += counted(made_elsewhere(asked.hard), counts)[0]
    TABLE.write_text(text := shown(counts, n_clean))
    print(f"\n{text}\n{n_clean} clean cases, {n_spoilt} spoilt ones; table in {TABLE}")


def whole_runs(folder: Path) -> str:
    """Format what whole runs found: each finding, and the cases that have it."""
    cases: dict[tuple[str, str], list[str]] = defaultdict(list)
    records = sorted(folder.glob("*.json"))
    for record in records:
        findings = json.loads(record.read_text())["findings"]
        for level, code in {(finding["level"], finding["code"]) for finding in findings}:
            cases[level, code].append(record.stem)
    rows = [
        (f"`{code}`", level, len(names), ", ".join(names) if len(names) < len(records) / 2 else "")
        for (level, code), names in sorted(cases.items(), reverse=True)
    ]
    return table(("finding", "level", f"of {len(records)} runs", "cases"), rows) + "\n"


def shown(counts: dict[str, Counts], n_clean: int) -> str:
    """Format the table, and below it where the false alarms were."""
    rows = [
        (f"`{code}`", kind.false, n_clean, kind.true if kind.spoilt else None, kind.spoilt or None)
        for code, kind in sorted(counts.items())
    ]
    where = [
        f"- `{code}`: {', '.join(kind.where)}"
        for code, kind in sorted(counts.items())
        if kind.where
    ]
    return table(HEAD, rows) + "\n\nFalse alarms:\n\n" + "\n".join(where or ["none"]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
