"""Keywords of the command and parameters of the core, side by side.

Plain Python without ChimeraX and Qt: the command, the panel and the messages use the same table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

ALL = "all"


@dataclass(frozen=True)
class Keyword:
    """One keyword of ``locscale hybrid`` that changes the result.

    Parameters
    ----------
    name : str
        As typed in ChimeraX.
    parameter : str
        Field of `HybridParameters`.
    """

    name: str
    parameter: str

    @property
    def python_name(self) -> str:
        """Return the name of the argument of the function: ``symmetry_center``."""
        return python_name(self.name)


def python_name(keyword: str) -> str:
    """Return the name of the argument of the function: ``symmetry_center``."""
    return re.sub(r"([A-Z])", lambda found: "_" + found[0].lower(), keyword)


KEYWORDS = (
    Keyword("sym", "point_group"),
    Keyword("symmetryCenter", "symmetry_centre"),
    Keyword("completeModel", "complete_model"),
    Keyword("resolution", "resolution"),
    Keyword("modelResolution", "model_resolution"),
    Keyword("fdr", "fdr"),
    Keyword("scaling", "scaling"),
    Keyword("window", "window"),
    Keyword("windowVoxels", "window_voxels"),
    Keyword("stride", "stride"),
    Keyword("taper", "taper"),
    Keyword("weight", "weight"),
    Keyword("noiseWeight", "noise_weight"),
    Keyword("refiner", "refiner"),
    Keyword("bSteps", "b_steps"),
    Keyword("bFloor", "b_floor"),
    Keyword("neighborTau", "neighbour_tau"),
    Keyword("seed", "seed"),
    Keyword("reseedCheck", "reseed_check"),
    Keyword("validate", "validate"),
)
# Other spellings of a keyword.
ALIASES = {"symmetry": "sym", "symmetryCentre": "symmetryCenter"}
_TESTS = ("reseed_check", "validate")


def chosen_parameters(
    given: Mapping[str, Any], *, earlier: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Parameters that the user set, over those of an earlier run.

    What tests a result is not taken over: it would take longer than an update.

    Parameters
    ----------
    given : mapping of str to value
        By `Keyword.python_name`; None where the keyword was not typed.
    earlier : mapping, optional
        Parameters of the run to be repeated, by field name of `HybridParameters`.

    Returns
    -------
    dict
        Only what differs from the defaults needs to be there.
    """
    values = {name: value for name, value in (earlier or {}).items() if name not in _TESTS}
    for keyword in KEYWORDS:
        value = given.get(keyword.python_name)
        if value is not None:
            values[keyword.parameter] = value
    # The one window replaces the other.
    if given.get("window") is not None and given.get("window_voxels") is None:
        values.pop("window_voxels", None)
    return values


def output_kinds(words: Iterable[str], known: Iterable[str]) -> list[str]:
    """Expand the words of ``outputs``: "all" means all that the core knows."""
    return sorted(known) if ALL in words else sorted(set(words))
