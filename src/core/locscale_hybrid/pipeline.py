"""The whole run: maps and model in, locally sharpened map out, in the order of the method."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from .comparison.compare import COMPARED, Comparison, compare, nothing_to_compare
from .completion.both_halves import PlacedPair, place_both
from .completion.completion import (
    Completion,
    assembled,
    free_fsc,
    keep_given_b,
    place_pseudo_atoms,
    refine,
)
from .completion.region import Region, unmodelled_region
from .completion.update import Update, WarmAtoms, warm_pseudo_atoms, warm_refine
from .findings import Finding
from .inputs.checks import check_inputs, check_resolution
from .inputs.reading import RunInput, read_run_input
from .maps.grid import FloatArray, Map
from .maps.subvolume import Box, box_of, require_density, soft_box, within
from .masking.coverage import MaskResult, coverage, first_mask, outlook
from .masking.mask import Mask
from .masking.resolution import Resolution, find_resolution
from .model.hybrid_model import HybridModel
from .outputs import OutputPaths, check_outputs
from .parallel.executors import SerialExecutor
from .parallel.job_folder import job_folder
from .parallel.tasks import Executor
from .parallel.threads import Early, fft_share, may_go_beside
from .parameters import HybridInputs, HybridParameters
from .progress import Progress, Timings
from .refinement.adp import RefinedAdps
from .refinement.coordinates import refined_model
from .refinement.model_fsc import ModelFsc, overfitting
from .refinement.servalcat.program import require_engine, require_restraints
from .refinement.setup import refinement_data
from .results.amplitudes import amplitude_curves
from .results.record import RunFacts, summary_of
from .results.seed_check import SeedChange, nothing_to_reseed, seed_change
from .results.writing import HybridResult, ProcessingFiles, write_output
from .resume.keys import stage_keys
from .resume.previous_run import PreviousRun, find_previous
from .resume.store import StageKey, StageStore
from .scaling.scale import scale_map
from .scaling.scaled_maps import ScaledMaps
from .scaling.scaling_input import ScalingInput
from .scaling.windows import window_edge
from .scattering.reference_map import reference_map
from .symmetry.operators import least_correlation


def run_hybrid(
    inputs: HybridInputs,
    parameters: HybridParameters,
    outputs: OutputPaths,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> HybridResult:
    """Sharpen a map locally with a hybrid of its partial model and pseudo-atoms as reference.

    Parameters
    ----------
    inputs : HybridInputs
    parameters : HybridParameters
    outputs : OutputPaths
    executor : Executor, optional
        Runs the local scaling; serial by default.  The result has the same bytes for any.
    progress : Progress, optional

    Returns
    -------
    HybridResult

    Raises
    ------
    InputError
        If the input cannot be used; nothing has been written then.
    StageError
        If a process of the scaling failed.

    References
    ----------
    .. [1] Jakobi, Wilmanns, Sachse (2017) eLife 6:e27131, :doi:`10.7554/eLife.27131`.
    .. [2] Bharadwaj, Jakobi (2022) Faraday Discuss. 240:168-183, :doi:`10.1039/D2FD00078D`.
    """
    check_outputs(outputs, inputs, parameters.outputs)
    require_engine(inputs, parameters, outputs.processing_folder or outputs.scratch)
    run = _Run(parameters, progress or Progress())
    workers = executor or SerialExecutor()
    with fft_share(1), job_folder(outputs) as folder:
        with run.stage("checks"):
            given = read_run_input(inputs, parameters)
            run.go_beside(given, workers, resume=outputs.resume)
            run.check(inputs, given, suggest=inputs.previous_record is None)
            inputs = run.start_from(inputs, given)
            parameters = run.parameters
            run.keep_stages(inputs, given, outputs, folder)
            files = ProcessingFiles(outputs.processing_folder, given.frame)
        with run.stage("mask"):
            mask, resolution = run.mask(given)
            files.keep_map("mask", Map(mask.soft, mask.grid, "mask"))
        with run.stage("hybrid model"):
            given = run.with_refined_model(given, inputs.monomer_library, resolution, folder)
            completion = run.completion(given, mask, resolution)
        with run.stage("pseudo-atoms"):
            hybrid, of_half_1 = run.placed(completion, given, workers, folder)
        with run.stage("adp"):
            hybrid, adps, free = run.refined(completion, hybrid, of_half_1, given, folder)
            files.keep_model("hybrid_model", hybrid, given.observed.average)
        with run.stage("reference"):
            reference = reference_map(
                given.observed.average.grid,
                hybrid,
                completion.fringe,
                b_floor=parameters.b_floor,
                cut=parameters.model_resolution,
            )
            files.keep_map("reference", reference)
        with run.stage("scaling"):
            scaled = run.scaled(given, reference, mask, resolution, workers, folder)
            reseeded = run.reseeded(completion, given, mask, resolution, scaled, workers, folder)
            compared = run.compared(completion, given, hybrid, reference, mask, scaled)
            del completion
            given = given.without_halves()
        with run.stage("output"):
            correlation = (
                None
                if parameters.region is not None
                else least_correlation(scaled.output, given.symmetry, mask.solid)
            )
            run.note(scaled.findings)
            amplitudes = amplitude_curves(
                given.observed.average,
                reference,
                scaled.output,
                run.looked_at(given, mask),
                d_min=resolution.d_min,
            )
            facts = RunFacts(
                inputs,
                parameters,
                outputs,
                workers.name,
                given.observed.kind,
                resolution,
                mask,
                run.coverage,
                hybrid,
                adps,
                free,
                scaled,
                correlation,
                run.progress.findings,
                run.timings,
                amplitudes,
                reseeded,
                run.update,
                compared,
            )
            written = write_output(facts, given, reference)
        return HybridResult(
            outputs.map, outputs.linear, outputs.record, written, facts.findings, summary_of(facts)
        )


def check_only(
    inputs: HybridInputs,
    parameters: HybridParameters,
    progress: Progress | None = None,
    *,
    measured: Callable[[Mapping[str, float]], None] | None = None,
) -> list[Finding]:
    """The checks of a run alone, in seconds; nothing is written.

    Parameters
    ----------
    inputs : HybridInputs
    parameters : HybridParameters
    progress : Progress, optional
    measured : callable, optional
        Called with the resolution in Å and the share of the mask that the model reaches.

    Raises
    ------
    InputError
        If the input cannot be used.
    """
    require_engine(inputs, parameters)
    run = _Run(parameters, progress or Progress())
    with fft_share(1), run.stage("checks"):
        given = read_run_input(inputs, parameters)
        run.check(inputs, given, suggest=True)
        expected = outlook(given, parameters, measure=measured is not None)
        run.note(expected.findings)
    if measured is not None:
        measured(expected.facts())
    return list(run.progress.findings)


@dataclass
class _Run:
    """A run under way: what it is asked for, what it cost; its progress keeps what was found."""

    parameters: HybridParameters
    progress: Progress
    timings: Timings = field(default_factory=Timings)
    store: StageStore = field(default_factory=StageStore)
    keys: Mapping[str, StageKey] = field(default_factory=dict)
    previous: PreviousRun | None = None
    update: Update | None = None
    coverage: float = 0.0  # share of the density that the model explains
    together: bool = False  # whether steps may go side by side
    early_mask: Early[MaskResult] = field(default_factory=Early)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Report and measure a stage."""
        self.progress.start(name)
        with self.timings.stage(name):
            yield

    def note(self, findings: Iterable[Finding]) -> None:
        """Keep findings and show them; what an earlier stage has said is not said again."""
        said = {finding.code for finding in self.progress.findings}
        for finding in findings:
            if finding.code not in said:
                self.progress.found(finding)

    def check(self, inputs: HybridInputs, given: RunInput, *, suggest: bool = False) -> None:
        """What can be told before the work."""
        window_edge(given.observed.average.grid, self.parameters)
        self.region(given)
        self.note(given.findings)
        if inputs.monomer_library is not None and given.model is not None:
            require_restraints(given.model.structure, inputs.monomer_library)
        self.note(
            check_inputs(
                given.observed,
                given.whole_model,
                given.group,
                inputs=inputs,
                resolution=self.parameters.resolution,
                suggest=suggest,
            )
        )

    def go_beside(self, given: RunInput, executor: Executor, *, resume: bool) -> None:
        """Let steps go side by side where there is room, the mask beside the checks first."""
        self.together = may_go_beside(executor.workers, given.observed.average.grid.size)
        if self.together and not resume:  # else it may be there already
            self.early_mask.begin(lambda: self.mask_result(given))

    def region(self, given: RunInput) -> Box | None:
        """The voxels that alone are scaled; None for all."""
        corners = self.parameters.region
        return None if corners is None else box_of(corners, given.observed.average.grid)

    def looked_at(self, given: RunInput, mask: Mask) -> FloatArray:
        """The mask of what was scaled, with soft edges."""
        region = self.region(given)
        return mask.soft if region is None else mask.soft * soft_box(region, mask.grid)

    def start_from(self, inputs: HybridInputs, given: RunInput) -> HybridInputs:
        """Note the earlier run to start from; the inputs without it where that cannot be."""
        if inputs.previous_record is None:
            return inputs
        found = find_previous(inputs, self.parameters, given.model, given.digests)
        if isinstance(found, PreviousRun):
            self.previous = found
            if found.validated_since:
                self.parameters = replace(self.parameters, validate=True)
            return replace(inputs, previous_record=found.path)
        self.note([found])
        return replace(inputs, previous_record=None)

    def keep_stages(
        self, inputs: HybridInputs, given: RunInput, outputs: OutputPaths, scratch: Path
    ) -> None:
        """Keep stage results in the processing folder, and use those of an earlier run."""
        if outputs.processing_folder is not None:
            self.store = StageStore(
                outputs.processing_folder / "stages",
                scratch,
                read=outputs.resume,
                found=lambda told: self.note([told]),
            )
            self.keys = stage_keys(inputs, self.parameters, given.observed.kind, given.digests)

    def mask(self, given: RunInput) -> tuple[Mask, Resolution]:
        """The mask at a first resolution, and the resolution inside it."""
        result = self.store.kept(
            MaskResult,
            self.keys.get("mask"),
            lambda: self.early_mask.result(lambda: self.mask_result(given)),
            lambda kept: kept.mask.grid == given.observed.average.grid,
        )
        mask, resolution = result.mask, result.resolution
        region = self.region(given)
        if self.parameters.region is not None and region is not None:
            require_density(self.parameters.region, region, mask.soft)
        self.note(
            [
                *mask.findings,
                *resolution.findings,
                *check_resolution(resolution.d_min, self.parameters.model_resolution),
            ]
        )
        return mask, resolution

    def mask_result(self, given: RunInput) -> MaskResult:
        """The mask and the resolution, computed."""
        mask = first_mask(given, self.parameters)
        resolution = find_resolution(
            given.observed, asked=self.parameters.resolution, mask=mask.soft, model=given.model
        )
        return MaskResult(mask, resolution)

    def with_refined_model(
        self, given: RunInput, library: Path | None, resolution: Resolution, folder: Path
    ) -> RunInput:
        """The input with the coordinates of its model refined, where a library is given."""
        if library is None or given.model is None:
            return given
        model, finding = refined_model(
            given.model,
            refinement_data(given.observed, resolution.d_min),
            kind=given.observed.kind,
            symmetry=given.group,
            library=library,
            folder=folder,
            progress=self.progress.update,
        )
        self.note([finding])
        return replace(given, model=model)

    def completion(self, given: RunInput, mask: Mask, resolution: Resolution) -> Completion:
        """The assembly, the data, and the region that the assembly leaves out."""
        assembly, fringe = assembled(
            given.model, given.whole_model, given.group, given.observed.average.grid
        )
        self.note(assembly.findings())
        data = refinement_data(given.observed, resolution.d_min)
        region: Region | None = None
        if self.parameters.complete_model or given.model is None:
            region = unmodelled_region(
                given.observed, mask.solid, assembly.positions, beyond=fringe.positions
            )
            self.note(region.findings)
        if given.model is not None:
            near, told = coverage(
                given.model.name, mask, assembly.positions, completed=region is not None
            )
            self.note(told)
            self.coverage = near if region is None else region.coverage
        return Completion(assembly, data, given.observed.kind, region, self.parameters, fringe)

    def placed(
        self, completion: Completion, given: RunInput, executor: Executor, folder: Path
    ) -> tuple[HybridModel, HybridModel | None]:
        """The hybrid model with its pseudo-atoms settled; that of half map 1, where it was made."""
        if self.previous is not None:
            return self.updated(completion, self.previous, given), None
        observed = given.observed
        validated = observed.kind == "halves" and self.parameters.refiner != "none"
        pair = self.store.kept(
            PlacedPair,
            self.keys.get("pseudo-atoms"),
            lambda: place_both(
                completion,
                observed.average,
                observed.half_1 if validated else None,
                executor,
                folder,
                self.progress.update,
            ),
            lambda kept: kept.fits(completion.assembly, validated),
        )
        half_1 = None if pair.half_1 is None else pair.half_1.in_assembly(completion.assembly)
        return pair.average.in_assembly(completion.assembly), half_1

    def updated(
        self, completion: Completion, previous: PreviousRun, given: RunInput
    ) -> HybridModel:
        """The hybrid model of the earlier run, settled around the edited model."""
        warm = self.store.kept(
            WarmAtoms,
            self.keys.get("pseudo-atoms"),
            lambda: warm_pseudo_atoms(
                completion, previous, given.observed.average, self.progress.update
            ),
            lambda kept: kept.atoms.fits(completion.assembly),
        )
        self.update = Update(previous, warm, validated=self.parameters.validate)
        self.note([self.update.finding(given.observed.kind)])
        return warm.atoms.in_assembly(completion.assembly)

    def refined(
        self,
        completion: Completion,
        hybrid: HybridModel,
        of_half_1: HybridModel | None,
        given: RunInput,
        folder: Path,
    ) -> tuple[HybridModel, RefinedAdps | None, ModelFsc | None]:
        """The hybrid model with its B refined, and what half map 2 says about it."""
        if self.parameters.refiner == "none":
            return keep_given_b(completion, hybrid), None, None
        rerun: Early[ModelFsc] = Early()

        def tau_known(tau: float) -> None:
            """Fit half map 1 while the last steps are made on the average."""
            if self.together and of_half_1 is not None:
                rerun.begin(lambda: free_fsc(completion, of_half_1, tau))

        adps = self.store.kept(
            RefinedAdps,
            self.keys.get("adp"),
            lambda: self.fitted(
                completion, hybrid, folder, self.progress.part(0.0, 0.6), tau_known
            ),
            lambda kept: len(kept.b_iso) == len(hybrid),
        )
        hybrid = hybrid.with_values(b_iso=adps.b_iso, occupancies=adps.occupancies)
        self.note(adps.findings)
        half_1 = given.observed.half_1
        asked = self.previous is None or self.parameters.validate
        if given.observed.kind != "halves" or half_1 is None or not asked:
            return hybrid, adps, None
        free = self.store.kept(
            ModelFsc,
            self.keys.get("validation"),
            lambda: rerun.result(
                lambda: free_fsc(
                    completion,
                    of_half_1
                    if of_half_1 is not None
                    else place_pseudo_atoms(
                        completion,
                        completion.data.with_half(1),
                        half_1,
                        self.progress.part(0.6, 1.0),
                    ),
                    adps.tau,
                )
            ),
        )
        gap = overfitting(free)
        self.note([gap] if gap is not None else [])
        return hybrid, adps, free

    def fitted(
        self,
        completion: Completion,
        hybrid: HybridModel,
        folder: Path,
        progress: Callable[[float], None],
        tau_known: Callable[[float], None],
    ) -> RefinedAdps:
        """B refined, with the prior of the earlier run where there is one to start from."""
        if self.previous is None or self.parameters.validate:
            return refine(
                completion, hybrid, folder, progress, together=self.together, tau_known=tau_known
            )[1]
        return warm_refine(completion, hybrid, self.previous, progress)

    def scaled(
        self,
        given: RunInput,
        reference: Map,
        mask: Mask,
        resolution: Resolution,
        executor: Executor,
        folder: Path,
    ) -> ScaledMaps:
        """The observed map scaled to the reference."""
        return self.store.kept(
            ScaledMaps,
            self.keys.get("scaling"),
            lambda: self.scale(given, reference, mask, resolution, executor, folder),
            lambda kept: kept.output.grid == given.observed.average.grid,
        )

    def scale(
        self,
        given: RunInput,
        reference: Map,
        mask: Mask,
        resolution: Resolution,
        executor: Executor,
        folder: Path,
    ) -> ScaledMaps:
        """The observed map scaled to a reference, computed."""
        return scale_map(
            ScalingInput(
                given.observed,
                reference,
                mask.soft,
                resolution.d_min,
                self.parameters,
                given.group,
                given.weight,
                self.region(given),
            ),
            executor,
            folder,
            self.progress,
        )

    def compared(
        self,
        completion: Completion,
        given: RunInput,
        hybrid: HybridModel,
        reference: Map,
        mask: Mask,
        scaled: ScaledMaps,
    ) -> Comparison:
        """The model compared with the map, where that is asked for."""
        asked = self.parameters.outputs.intersection(COMPARED)
        if asked and hybrid.source is None:
            self.note([nothing_to_compare()])
            return Comparison()
        grid = given.observed.average.grid
        result = compare(
            asked,
            completion.data,
            hybrid,
            reference,
            self.looked_at(given, mask),
            scaled,
            window=window_edge(grid, self.parameters),
            symmetry=given.group,
        )
        self.note(result.findings)
        return result

    def reseeded(
        self,
        completion: Completion,
        given: RunInput,
        mask: Mask,
        resolution: Resolution,
        first: ScaledMaps,
        executor: Executor,
        folder: Path,
    ) -> SeedChange | None:
        """Change of the output with other starting places of the pseudo-atoms, where asked for."""
        if not self.parameters.reseed_check:
            return None
        if completion.region is None or completion.region.n_atoms == 0:
            self.note([nothing_to_reseed()])
            return None
        change = self.store.kept(
            SeedChange,
            self.keys.get("reseed"),
            lambda: self.seed_change(completion, given, mask, resolution, first, executor, folder),
        )
        self.note(change.findings)
        return change

    def seed_change(
        self,
        completion: Completion,
        given: RunInput,
        mask: Mask,
        resolution: Resolution,
        first: ScaledMaps,
        executor: Executor,
        folder: Path,
    ) -> SeedChange:
        """Change of the output with the next seed, computed."""
        other = replace(self.parameters, seed=self.parameters.seed + 1)
        again, told = replace(completion, parameters=other), self.progress.part(1.0, 1.0)
        hybrid = place_pseudo_atoms(again, again.data.average, given.observed.average, told)
        hybrid = (
            keep_given_b(again, hybrid)
            if other.refiner == "none"
            else refine(again, hybrid, folder, told)[0]
        )
        reference = reference_map(
            given.observed.average.grid,
            hybrid,
            again.fringe,
            b_floor=other.b_floor,
            cut=other.model_resolution,
        )
        second = self.scale(given, reference, mask, resolution, executor, folder)
        region = self.region(given)
        inside = mask.solid if region is None else within(mask.solid, region)
        return seed_change(first.output.values, second.output.values, inside, other.seed)
