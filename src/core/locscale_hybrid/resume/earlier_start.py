"""Whether a run starts from an earlier one, and what it is then asked to do."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..findings import Finding
from ..model.structure import AtomicModel
from ..parameters import HybridInputs, HybridParameters
from .previous_run import PreviousRun, find_previous


@dataclass(frozen=True, eq=False)
class EarlierStart:
    """What a run is asked to do once it is known whether it can start from an earlier one.

    Parameters
    ----------
    inputs : HybridInputs
        Without the earlier run if the new one cannot start from it.
    parameters : HybridParameters
    previous : PreviousRun, optional
    findings : tuple of Finding
        Why there is none.
    """

    inputs: HybridInputs
    parameters: HybridParameters
    previous: PreviousRun | None = None
    findings: tuple[Finding, ...] = ()


def earlier_start(
    inputs: HybridInputs,
    parameters: HybridParameters,
    model: AtomicModel | None,
    digests: Mapping[str, str],
) -> EarlierStart:
    """Find the earlier run to start from, if the inputs name one; see `find_previous`."""
    if inputs.previous_record is None:
        return EarlierStart(inputs, parameters)
    found = find_previous(inputs, parameters, model, digests)
    if isinstance(found, Finding):
        return EarlierStart(replace(inputs, previous_record=None), parameters, None, (found,))
    if found.validated_since:
        parameters = replace(parameters, validate=True)
    return EarlierStart(replace(inputs, previous_record=found.path), parameters, found)
