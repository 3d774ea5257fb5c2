"""Run the example on simulated and on real density, in a few minutes: `make demo`.

1. Half maps SIMULATED from 5NI1, and a model that lacks one chain of four.  This is a run as it
   should be, and the truth is known.
2. EMD-3488, real density with an automatically built, incomplete model.  This is what a bad input
   looks like: its authors sharpened, filtered and masked the map, and deposited no half maps.

Files are written to demo_output/ (or to the folder given).
"""

import gzip
import shlex
import subprocess
import sys
import time
from pathlib import Path

import mrcfile
import numpy as np
from simulate import Simulation, simulate

EXAMPLES = Path(__file__).resolve().parent
DATA = EXAMPLES / "data"


def run_locscale(title: str, *arguments: str | Path) -> None:
    """Run the command line program and end with it when it fails."""
    words = [str(argument) for argument in arguments]
    show(f"\n== {title}\n$ locscale {shlex.join(words)}\n")
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-m", "locscale_hybrid", *words], check=False)
    if ended.returncode != 0:
        raise SystemExit(ended.returncode)
    show(f"took {time.monotonic() - began:.0f} s")


WHY_WARNINGS = (
    "\nThe warnings are expected: this map was sharpened, filtered and masked before deposition, so\n"
    "signal and noise cannot be separated. Give your own half maps as they were reconstructed."
)


def real_density(folder: Path) -> Path:
    """Sharpen EMD-3488 with the automatic model."""
    output = folder / "emd3488_locscale.mrc"
    run_locscale(
        "A bad input: EMD-3488, real density, with an automatic model",
        "-em",
        DATA / "emd_3488.mrc.gz",
        "-mc",
        DATA / "modelangelo_in_emd3488.cif.gz",
        "-sym",
        "C2",
        "-v",
        "-o",
        output,
        "--complete_model",
    )
    show(WHY_WARNINGS)
    return output


def simulated_halves(folder: Path) -> Path:
    """Sharpen two simulated half maps with three of four chains."""
    case = folder / "simulated_5ni1"
    simulate(Simulation(DATA / "5ni1.cif.gz", drop_chains=("D",)), case)
    output = folder / "simulated_locscale.mrc"
    run_locscale(
        "A run as it should be: half maps SIMULATED from 5NI1 at 3.2 Å, model without chain D",
        "-hm",
        case / "half1.mrc",
        case / "half2.mrc",
        "-mc",
        case / "model_partial.cif",
        "-v",
        "-o",
        output,
        "--complete_model",
    )
    compare_to_truth(case, output)
    return output


def compare_to_truth(case: Path, output: Path) -> None:
    """Correlations with the truth, where the truth has density."""
    truth = mrcfile.read(case / "truth.mrc")
    halves = [mrcfile.read(case / name) for name in ("half1.mrc", "half2.mrc")]
    solvent = np.median(truth)
    particle = np.abs(truth - solvent) > 0.1 * np.std(truth)
    for name, values in (
        ("mean of the half maps", (halves[0] + halves[1]) / 2),
        ("display map", mrcfile.read(output)),
        ("linear map", mrcfile.read(linear_map(output))),
    ):
        correlation = np.corrcoef(truth[particle], values[particle])[0, 1]
        show(f"correlation with the truth, {name}: {correlation:.3f}")


def linear_map(output: Path) -> Path:
    """Return where the linear map is written."""
    return output.with_name(f"{output.stem}_linear.mrc")


def models(folder: Path) -> tuple[Path, Path]:
    """Write the models of the two cases, uncompressed."""
    unpacked = folder / "modelangelo_in_emd3488.cif"
    unpacked.write_bytes(gzip.decompress((DATA / f"{unpacked.name}.gz").read_bytes()))
    return folder / "simulated_5ni1/model_partial.cif", unpacked


def show(text: str) -> None:
    """Write to the terminal before a child process does."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run both cases and say where everything is."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo_output").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    outputs = [simulated_halves(folder), real_density(folder)]
    show("\n== Output files")
    for output in outputs:
        show(
            f"{output}\n    is the display map; {linear_map(output).name} is the linear map, and "
            f"{output.with_suffix('.json').name} the record"
        )
    show(f"\n== In a shell\nsource {Path(sys.prefix) / 'bin/activate'}    # then type locscale")
    show("\n== In ChimeraX")
    for output, model in zip(outputs, models(folder), strict=True):
        show(f'open "{output}" "{model}"')


if __name__ == "__main__":
    main()
