"""Write the ChimeraX script of a CCP-EM Pipeliner job.

``python -m locscale_hybrid.pipeliner.view MAP LOCAL_B MODEL`` is a command of the job of its own,
after the run; it imports neither numerics nor the Pipeliner.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..files.atomic import replacing

COLOURED = """\
# Colour the sharpened map (#1) by local B (#2), Å² above the best-ordered region.
hide #2 models
color sample #1 map #2 palette cyanmaroon
"""


def write_view(output: str, local_b: str, model: str) -> tuple[Path, Path]:
    """Write ``<output>_view.cxc`` and the JSON file through which Doppio offers it.

    Parameters
    ----------
    output, local_b, model : str
        The sharpened map, its local B map, the hybrid model; paths from the project folder,
        which is the current one and from which Doppio opens them.

    Returns
    -------
    tuple of Path
        The script, and the JSON file with ``script`` and ``data``.

    Raises
    ------
    InputError
        If the folder is missing or a file cannot be written.
    """
    stem = os.path.splitext(output)[0]
    script, listed = Path(f"{stem}_view.cxc"), Path(f"{stem}_view.json")
    data = [output, local_b, *([model] if os.path.isfile(model) else [])]
    with replacing(script) as stream:
        stream.write(COLOURED.encode())
    with replacing(listed) as stream:
        stream.write(json.dumps({"script": str(script), "data": data}).encode())
    return script, listed


def main(words: Sequence[str] | None = None) -> int:
    """Write the script for the three files named."""
    output, local_b, model = sys.argv[1:] if words is None else words
    write_view(output, local_b, model)
    return 0


if __name__ == "__main__":
    sys.exit(main())
