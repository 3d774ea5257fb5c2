"""The command line with a stand-in for the pipeline, for tests that start processes.

The environment variable TOY_PLAN is the JSON of `toy_tasks.make_plan`.
"""

import json
import os
import sys
import tempfile
import types
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))


def run_hybrid(inputs, parameters, outputs, *, executor, progress):
    """Run toy tasks on the executor and write their slots as the output."""
    from tests import toy_tasks

    plan = json.loads(os.environ.get("TOY_PLAN", "{}"))
    count = plan.pop("count", 12)
    progress.start("checks")
    if "error" in plan:
        from locscale_hybrid.errors import InputError

        raise InputError(plan["error"])
    if "bug" in plan:
        raise ZeroDivisionError(plan["bug"])
    with tempfile.TemporaryDirectory(dir=outputs.processing_folder or outputs.scratch) as name:
        folder = Path(name)
        for _ in range(plan.pop("plans", 1)):
            toy_tasks.make_plan(folder, count, **plan)
            progress.start("scaling")
            executor.map(toy_tasks.write_slot, folder, count, progress=progress.update)
        outputs.map.write_bytes(toy_tasks.slots(folder))
        outputs.record.write_text((folder / "who.txt").read_text())
    progress.start("output")
    progress.update(1.0)
    return types.SimpleNamespace(
        findings=(),
        output=outputs.map,
        linear=outputs.linear,
        files={},
        record=outputs.record,
        summary=[("executor", executor.name)],
    )


def pretend_pipeline():
    """A module in place of the pipeline."""
    module = types.ModuleType("locscale_hybrid.pipeline")
    module.run_hybrid = run_hybrid
    module.check_only = lambda inputs, parameters, progress, **_: progress.start("checks")
    sys.modules["locscale_hybrid.pipeline"] = module


if __name__ == "__main__":
    from locscale_hybrid.cli.main import main

    pretend_pipeline()
    sys.exit(main())
