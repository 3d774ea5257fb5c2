"""What the names of map files tell about half maps."""

import re
from pathlib import Path

from ..findings import Finding
from ..parameters import HybridInputs
from ..remedies import give

_HALF_NAMES = re.compile(r"(half[-_]?(?:map)?[-_]?)([12ab])(?![0-9a-z])", re.IGNORECASE)
_PARTNER = {"1": "2", "2": "1", "a": "b", "b": "a", "A": "B", "B": "A"}


def check_names(inputs: HybridInputs) -> list[Finding]:
    """Report a full map whose name shows that its half maps are in the same folder."""
    if inputs.full_map is None:
        return []
    partner = partner_of(inputs.full_map)
    if partner is not None:
        return [
            Finding(
                "partner-half-map",
                "warning",
                f"{inputs.full_map.name} has the name of a half map, and {partner.name} is in the "
                "same folder",
                remedies=(give("half_maps", "both as half maps"),),
            )
        ]
    halves = halves_beside(inputs.full_map)
    if halves is None:
        return []
    return [
        Finding(
            "half-maps-beside",
            "warning",
            f"{halves[0].name} and {halves[1].name} are in the folder of {inputs.full_map.name}",
            remedies=(
                give("half_maps", "these two half maps instead", when="to validate the result"),
            ),
        )
    ]


def partner_of(path: Path) -> Path | None:
    """Find the other half map, if a name says "half 1" or the like and the other exists."""
    name = partner_name(path.name)
    if name is None:
        return None
    partner = path.with_name(name)
    return partner if partner.is_file() else None


def partner_name(name: str) -> str | None:
    """Name the other half map, if a name says "half 1" or the like."""
    match = _HALF_NAMES.search(name)
    if match is None:
        return None
    begin, end = match.span(2)
    return name[:begin] + _PARTNER[match[2]] + name[end:]


def halves_beside(path: Path) -> tuple[Path, Path] | None:
    """Find the two half maps that an EMDB entry names after the full map, if they exist."""
    stem, dot, endings = path.name.partition(".")
    first, second = (path.with_name(f"{stem}_half_map_{n}{dot}{endings}") for n in (1, 2))
    return (first, second) if first.is_file() and second.is_file() else None
