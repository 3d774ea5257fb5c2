"""The real core, which waits for ever in one stage: python held_core.py STAGE -P -m … options.

The stage "output" is held after its first file was written.
"""

import runpy
import sys
import time

STAGE = sys.argv[1]
sys.argv = [sys.argv[0], *sys.argv[sys.argv.index("locscale_hybrid") + 1 :]]


def wait():
    while True:
        time.sleep(0.05)


def main():
    from locscale_hybrid import pipeline
    from locscale_hybrid.progress import Progress
    from locscale_hybrid.results import writing

    start, write = Progress.start, writing.write_map
    begun = set()

    def held_start(self, name):
        start(self, name)
        begun.add(name)
        if name == STAGE != "output":
            wait()

    def held_write(*arguments, **keywords):
        write(*arguments, **keywords)
        if STAGE == "output" and STAGE in begun:
            wait()

    Progress.start, writing.write_map = held_start, held_write
    assert pipeline.run_hybrid
    runpy.run_module("locscale_hybrid", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
