"""The whole run: maps and model in, locally sharpened map out, in the order of the method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .comparison.compare import COMPARED, Comparison, compare, nothing_to_compare
from .completion.completion import completion_of
from .findings import Finding
from .inputs.checks import check_inputs, check_resolution
from .inputs.reading import RunInput, read_run_input
from .maps.grid import FloatArray, Map
from .maps.subvolume import require_density
from .masking.coverage import MaskResult, mask_and_resolution, outlook
from .outputs import OutputPaths, check_outputs
from .parallel.executors import SerialExecutor
from .parallel.job_folder import job_folder
from .parallel.tasks import Executor
from .parallel.threads import beside, fft_share, may_go_beside
from .parameters import HybridInputs, HybridParameters
from .progress import Progress
from .refinement.coordinates import with_refined_coordinates
from .refinement.servalcat.program import require_engine, require_restraints
from .results.amplitudes import amplitude_curves
from .results.record import RunFacts, summary_of
from .results.seed_check import SeedChange, seed_check
from .results.writing import HybridResult, write_output
from .resume.earlier_start import earlier_start
from .resume.kept_stages import KeptStages
from .resume.keys import stage_keys
from .resume.previous_run import PreviousRun
from .resume.processing_files import ProcessingFiles
from .resume.store import StageStore
from .scaling.windows import window_edge
from .sharpening.context import RunContext
from .sharpening.steps import Sharpened, SharpeningInput, region_of, sharpened
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
    with fft_share(1), job_folder(outputs) as folder:
        context = RunContext(executor or SerialExecutor(), folder, progress or Progress())
        with context.stage("checks"):
            run = _checked(inputs, parameters, outputs, context)
        context = run.context
        with context.stage("mask"):
            masked = _masked(run)
        with context.stage("hybrid model"):
            start = _completed(run, masked)
        made = sharpened(start, context)  # pseudo-atoms, B factors, reference, scaling
        with context.timings.stage("scaling"):
            reseeded = seed_check(start, made.scaled, context)
            compared = _compared(start, made, context.progress)
        covered, looked_at = start.completion.coverage, start.looked_at
        run = replace(run, given=start.given.without_halves(), mask=lambda: masked)
        del start  # the half maps, to make room
        with context.stage("output"):
            facts = _facts(run, outputs, masked, made, covered, looked_at, reseeded, compared)
            written = write_output(facts, run.given, made.reference)
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
    """Make the checks of a run alone, in seconds; nothing is written.

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
    context = RunContext(SerialExecutor(), Path(), progress or Progress())
    with fft_share(1), context.stage("checks"):
        given = read_run_input(inputs, parameters)
        _check(inputs, parameters, given, context.progress, suggest=True)
        expected = outlook(given, parameters, measure=measured is not None)
        context.progress.note(expected.findings)
    if measured is not None:
        measured(expected.facts())
    return list(context.progress.findings)


@dataclass(frozen=True, eq=False)
class _Run:
    """What is known after the checks: the input, what is asked for, and what to compute with."""

    inputs: HybridInputs
    parameters: HybridParameters
    given: RunInput
    context: RunContext
    mask: Callable[[], MaskResult]  # waits for it, or makes it now
    previous: PreviousRun | None


def _checked(
    inputs: HybridInputs, parameters: HybridParameters, outputs: OutputPaths, context: RunContext
) -> _Run:
    """Read and check the input; find the earlier run to start from, and kept results."""
    given = read_run_input(inputs, parameters)
    observed = given.observed
    together = may_go_beside(context.executor.workers, observed.average.grid.size)
    mask = beside(  # when resuming, it may be there already
        lambda: mask_and_resolution(given, parameters), together=together and not outputs.resume
    )
    suggest = inputs.previous_record is None
    _check(inputs, parameters, given, context.progress, suggest=suggest)
    earlier = earlier_start(inputs, parameters, given.model, given.digests)
    context.progress.note(earlier.findings)
    inputs, parameters = earlier.inputs, earlier.parameters
    stages = KeptStages()
    if outputs.processing_folder is not None:
        store = StageStore(
            outputs.processing_folder / "stages",
            context.folder,
            read=outputs.resume,
            found=lambda told: context.progress.note([told]),
        )
        stages = KeptStages(store, stage_keys(inputs, parameters, observed.kind, given.digests))
    files = ProcessingFiles(outputs.processing_folder, given.frame)
    context = replace(context, stages=stages, files=files, together=together)
    return _Run(inputs, parameters, given, context, mask, earlier.previous)


def _check(
    inputs: HybridInputs,
    parameters: HybridParameters,
    given: RunInput,
    progress: Progress,
    *,
    suggest: bool,
) -> None:
    """Refuse or report what can be known before the work."""
    window_edge(given.observed.average.grid, parameters)
    region_of(given, parameters)
    progress.note(given.findings)
    if inputs.monomer_library is not None and given.model is not None:
        require_restraints(given.model.structure, inputs.monomer_library)
    progress.note(
        check_inputs(
            given.observed,
            given.whole_model,
            given.group,
            inputs=inputs,
            resolution=parameters.resolution,
            suggest=suggest,
        )
    )


def _masked(run: _Run) -> MaskResult:
    """Make the mask at a first resolution, and find the resolution inside it."""
    grid, parameters = run.given.observed.average.grid, run.parameters
    result = run.context.stages.kept(
        MaskResult, "mask", run.mask, lambda kept: kept.mask.grid == grid
    )
    mask, resolution = result.mask, result.resolution
    region = region_of(run.given, parameters)
    if parameters.region is not None and region is not None:
        require_density(parameters.region, region, mask.soft)
    run.context.progress.note(
        [
            *mask.findings,
            *resolution.findings,
            *check_resolution(resolution.d_min, parameters.model_resolution),
        ]
    )
    run.context.files.keep_map("mask", Map(mask.soft, mask.grid, "mask"))
    return result


def _completed(run: _Run, masked: MaskResult) -> SharpeningInput:
    """Find the assembly of the model and the region that it leaves out."""
    progress, d_min = run.context.progress, masked.resolution.d_min
    given, findings = with_refined_coordinates(
        run.given, run.inputs.monomer_library, d_min, run.context.folder, progress.update
    )
    progress.note(findings)
    completion, findings = completion_of(given, masked.mask, d_min, run.parameters)
    progress.note(findings)
    validated = run.previous is None or run.parameters.validate
    return SharpeningInput(given, masked.mask, d_min, completion, run.previous, validated)


def _compared(start: SharpeningInput, made: Sharpened, progress: Progress) -> Comparison:
    """Compare the model with the map, where that is asked for."""
    asked, hybrid = start.parameters.outputs.intersection(COMPARED), made.refined.hybrid
    if asked and hybrid.source is None:
        progress.note([nothing_to_compare()])
        return Comparison()
    result = compare(
        asked,
        start.completion.data,
        hybrid,
        made.reference,
        start.looked_at,
        made.scaled,
        window=window_edge(start.given.observed.average.grid, start.parameters),
        symmetry=start.given.group,
    )
    progress.note(result.findings)
    return result


def _facts(
    run: _Run,
    outputs: OutputPaths,
    masked: MaskResult,
    made: Sharpened,
    covered: float,
    looked_at: FloatArray,
    reseeded: SeedChange | None,
    compared: Comparison,
) -> RunFacts:
    """Gather what the record, the report and the labels of maps say."""
    given, mask, resolution, scaled = run.given, masked.mask, masked.resolution, made.scaled
    correlation = (
        None
        if run.parameters.region is not None
        else least_correlation(scaled.output, given.symmetry, mask.solid)
    )
    run.context.progress.note(scaled.findings)
    amplitudes = amplitude_curves(
        given.observed.average, made.reference, scaled.output, looked_at, d_min=resolution.d_min
    )
    return RunFacts(
        run.inputs,
        run.parameters,
        outputs,
        run.context.executor.name,
        given.observed.kind,
        resolution,
        mask,
        covered,
        made.refined.hybrid,
        made.refined.adps,
        made.refined.free,
        scaled,
        correlation,
        run.context.progress.findings,
        run.context.timings,
        amplitudes,
        reseeded,
        made.placed.update,
        compared,
    )
