"""What ChimeraX's command `open` asks for a file whose name ends in .json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from chimerax.open_command import OpenerInfo

if TYPE_CHECKING:
    from typing import Any

    from ..session_types import Session

_LARGEST_PEEK = 64 << 20  # bytes; no record is near it
_FORMAT = "LocScale run"


class RunOpener(OpenerInfo):
    """Open the record of a run; other JSON files go to the formats that have that ending, too."""

    def open(self, session: Session, path: str, file_name: str, **keywords: Any) -> Any:
        """Open a run as a result; see `attach.open_run`."""
        other = None if _is_record(Path(path)) else _other_format(session)
        if other is not None:
            return session.open_command.opener_info(other).open(
                session, path, file_name, **keywords
            )
        from .run import open_run

        return open_run(session, path)


def _is_record(path: Path) -> bool:
    """Test whether a file may be the record of a run, of whatever version."""
    try:
        if path.stat().st_size > _LARGEST_PEEK:
            return False
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(values, dict) and str(values.get("schema", "")).startswith("locscale")


def _other_format(session: Session) -> Any:
    """Return the other format with this ending that has an opener; None without."""
    for data_format in session.open_command.open_data_formats:
        if ".json" in data_format.suffixes and data_format.name != _FORMAT:
            return data_format
    return None
