"""The options of the command line: what there is, in the order in which a person looks for it."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..errors import InputError
from ..findings import Finding
from ..outputs import require_file_name
from ..parameters import REFINERS, SCALINGS, TAPERS
from .help_texts import add_help_texts
from .legacy import LEGACY_OPTIONS, REFUSED_OPTIONS

USAGE = """locscale -hm HALF1 HALF2 [-mc MODEL --complete_model] [-o OUT] […]
       locscale -em MAP      [-mc MODEL --complete_model] [-o OUT] […]
       mpirun -np 4 locscale -hm HALF1 HALF2 … -mpi"""
DESCRIPTION = """Sharpens a cryo-EM map locally, to the amplitudes of your atomic model and of
pseudo-atoms where it is incomplete."""
EPILOG = """Give unfiltered, unsharpened, unmasked maps. One dash or two are the same.
Other options of LocScale 2 are accepted; those without effect here are named
with the reason. Exit codes: 0 done, 2 input or arguments, 3 a stage failed,
130 interrupted."""

SHORTEST = 3  # letters of an abbreviation


class Parser(argparse.ArgumentParser):
    """A parser that raises one sentence in place of printing its usage."""

    def error(self, message: str) -> NoReturn:
        """Raise the sentence as an `InputError`."""
        text = message.replace("argument ", "", 1) if message.startswith("argument ") else message
        raise InputError(f"{text}; see locscale --help")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """At most 80 columns; the metavar once for both spellings."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=80)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """Return the spellings, then what follows them."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        values = self._format_args(action, action.dest.upper())
        return f"{', '.join(action.option_strings)} {values}"


class _NoEffect(argparse.Action):
    """Notes that an option without effect was given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Keep the option; the caller reports it."""
        given = [*getattr(namespace, "no_effect", []), self.dest]
        namespace.no_effect = given


class _Refuse(argparse.Action):
    """Refuses an option that asks for something else."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Raise the sentence."""
        raise InputError(REFUSED_OPTIONS[self.dest][1])


def build_parser() -> Parser:
    """Build the parser; only options that were given appear in its namespace."""
    parser = Parser(
        "locscale",
        USAGE,
        DESCRIPTION,
        EPILOG,
        formatter_class=_Formatter,
        argument_default=argparse.SUPPRESS,
        add_help=False,
        allow_abbrev=False,
    )
    _add_input(parser.add_argument_group("maps and model"))
    _add_output(parser.add_argument_group("output"))
    _add_symmetry(parser.add_argument_group("symmetry"))
    _add_resolution(parser.add_argument_group("resolution and mask"))
    _add_scaling(parser.add_argument_group("local scaling"))
    _add_model(parser.add_argument_group("pseudo-atoms and B factors"))
    _add_processes(parser.add_argument_group("processes"))
    _add_repeat(parser.add_argument_group("repeating and resuming"))
    _add_messages(parser.add_argument_group("messages"))
    _add_hidden(parser)
    add_help_texts(parser)
    return parser


def _add_input(group: argparse._ArgumentGroup) -> None:
    """Add the options of the input."""
    group.add_argument("-hm", "--halfmap_paths", nargs=2, type=_file, metavar=("HALF1", "HALF2"))
    group.add_argument("-em", "--emmap_path", type=_file, metavar="MAP")
    group.add_argument("-mc", "--model_coordinates", type=_file, metavar="MODEL")
    group.add_argument("--complete_model", action="store_true")
    group.add_argument("-p", "--apix", type=_positive, metavar="Å")


def _add_output(group: argparse._ArgumentGroup) -> None:
    """Add the options of the output."""
    group.add_argument(
        "-o",
        "--outfile",
        type=_output,
        metavar="OUT",
        help="Write the sharpened map to this file (default locscale_output.mrc). The names of all "
        "other files follow from it.",
    )
    group.add_argument("--outputs", nargs="+", metavar="NAME")
    group.add_argument("--print_report", action="store_true", help="Write an HTML report.")


def _add_symmetry(group: argparse._ArgumentGroup) -> None:
    """Point groups."""
    group.add_argument("-sym", "--symmetry", metavar="GROUP")
    group.add_argument("--symmetry_centre", nargs=3, type=_number, metavar=("X", "Y", "Z"))


def _add_resolution(group: argparse._ArgumentGroup) -> None:
    """Add the options of resolution and mask."""
    group.add_argument("-res", "--ref_resolution", type=_positive, metavar="Å")
    group.add_argument("-mres", "--model_resolution", type=_positive, metavar="Å")
    group.add_argument("-fdr", "--fdr_threshold", type=_positive, metavar="Q")
    group.add_argument("-ma", "--mask", type=_file, metavar="MAP")


def _add_scaling(group: argparse._ArgumentGroup) -> None:
    """Add the options of scaling and noise weighting."""
    group.add_argument("--scaling", choices=SCALINGS)
    group.add_argument("--window", type=_positive, metavar="Å")
    group.add_argument("-wn", "--window_size", type=_count, metavar="N")
    group.add_argument("--stride", type=_whole, metavar="N")
    group.add_argument("--taper", choices=TAPERS)
    group.add_argument(
        "--region", nargs=6, type=_number, metavar=("X0", "Y0", "Z0", "X1", "Y1", "Z1")
    )
    group.add_argument("--weight", metavar="HOW")
    group.add_argument("--no_noise_weight", action="store_true")


def _add_model(group: argparse._ArgumentGroup) -> None:
    """Add the options of the hybrid model."""
    group.add_argument("--refiner", choices=REFINERS)
    group.add_argument(
        "--skip_refine",
        action="store_true",
        help="Do not refine B factors; the same as --refiner none.",
    )
    group.add_argument("--refine_coordinates", type=_file, metavar="MONLIB")
    group.add_argument("-ref_it", "--refmac_iterations", type=_whole, metavar="N")
    group.add_argument("--b_floor", type=_number, metavar="Å²")
    group.add_argument("--neighbour_tau", type=_positive, metavar="Å²")
    group.add_argument("--seed", type=_whole, metavar="N")
    group.add_argument("--reseed_check", action="store_true")


def _add_processes(group: argparse._ArgumentGroup) -> None:
    """Add the options of processes."""
    group.add_argument(
        "-np",
        "--number_processes",
        type=_whole,
        metavar="N",
        help="Use this many processes (default: all cores that this process may use).",
    )
    group.add_argument(
        "-mpi",
        "--mpi",
        action="store_true",
        help="Share the run among the ranks of mpirun or srun.",
    )
    group.add_argument(
        "--mpiexec",
        type=_file,
        metavar="PROGRAM",
        help="Start the processes of -np with this mpiexec.",
    )


def _add_repeat(group: argparse._ArgumentGroup) -> None:
    """Add the options that refer to earlier runs."""
    group.add_argument(
        "-op",
        "--output_processing_files",
        type=_file,
        metavar="FOLDER",
        help="Keep the job folder here, with the results of all stages.",
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="Reuse the results in the job folder (default: OUT_locscale).",
    )
    group.add_argument(
        "--from",
        type=_file,
        metavar="RECORD",
        dest="record",
        help="Repeat the run of this record; further options change it.",
    )
    group.add_argument(
        "--update",
        type=_file,
        metavar="RECORD",
        help="Repeat the run of this record with an edited model. This is fast, because it starts "
        "from the hybrid model of that run, kept by --outputs model or -op.",
    )
    group.add_argument("--warm_start", type=_file, metavar="RECORD", dest="previous_record")
    group.add_argument("--validate", action="store_true")
    group.add_argument("--check", action="store_true", help="Check the input only.")


def _add_messages(group: argparse._ArgumentGroup) -> None:
    """Add the options of messages."""
    group.add_argument("-v", "--verbose", action="store_true", help="Show more messages.")
    group.add_argument(
        "--progress",
        choices=("bar", "lines", "json"),
        help="Show progress as a bar (default on a terminal), as lines, or as one JSON object a line.",
    )
    group.add_argument("--debug", action="store_true", help="Show tracebacks.")
    group.add_argument("--version", action="store_true", help="Print the version.")
    group.add_argument("-h", "--help", action="store_true", help="Print this help.")


def _add_hidden(parser: argparse.ArgumentParser) -> None:
    """Add the options that applications use, and those of LocScale 2."""
    parser.add_argument("--job", type=_file, help=argparse.SUPPRESS)
    parser.add_argument("--end_with_stdin", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--hold", action="store_true", help=argparse.SUPPRESS)
    for option in LEGACY_OPTIONS:
        parser.add_argument(
            *(f"--{name}" for name in option.names),
            action=_NoEffect,
            dest=option.names[-1],
            nargs=option.arguments,
            help=argparse.SUPPRESS,
        )
    for name, (arguments, _) in REFUSED_OPTIONS.items():
        parser.add_argument(
            f"--{name}", action=_Refuse, dest=name, nargs=arguments, help=argparse.SUPPRESS
        )


def spellings(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return the long spelling, with two dashes, of every name without dashes."""
    names: dict[str, str] = {}
    for action in parser._actions:
        longest = max(action.option_strings, key=len, default="")
        names.update({spelling.lstrip("-"): longest for spelling in action.option_strings})
    return names


def in_long_spelling(
    words: Sequence[str], names: dict[str, str]
) -> tuple[list[str], list[Finding]]:
    """Words with every option in its long spelling, and remarks about how they were typed.

    One dash or two makes no difference, a stray space after ``--`` is overlooked, and the
    beginning of a name will do where it is that of one option alone, as in LocScale 2.
    """
    result: list[str] = []
    remarks: list[Finding] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--" and rest and rest[0].partition("=")[0] in names:
            remarks.append(_slip(f'"-- {rest[0]}" was read as --{rest[0]}: there is a stray space'))
            word = "--" + rest.pop(0)
        if word[:1] in "–—−" and word.lstrip("–—−-").partition("=")[0] in names:
            name = word.lstrip("–—−-")
            remarks.append(_slip(f'"{word}" was read as --{name}: its dash is not a hyphen'))
            word = "--" + name
        name, equals, value = word[1:].removeprefix("-").partition("=")
        if word.startswith("-") and name in names:
            word = names[name] + equals + value
        elif word.startswith("-") and len(meant := begun_by(name, names)) == 1:
            remarks.append(
                Finding("abbreviation", "note", f"{word.partition('=')[0]} was read as {meant[0]}")
            )
            word = meant[0] + equals + value
        result.append(word)
    return result, remarks


def begun_by(name: str, names: dict[str, str]) -> list[str]:
    """Find options whose long spelling begins like a name of at least SHORTEST letters."""
    if len(name) < SHORTEST:
        return []
    return sorted({long for long in names.values() if long.startswith(f"--{name}")})


def as_typed(words: Sequence[str], names: dict[str, str]) -> dict[str, str]:
    """Return the word that was typed for each option, by its long spelling."""
    typed: dict[str, str] = {}
    for word in words:
        name = word.lstrip("-").partition("=")[0]
        if word.startswith("-"):
            for long in [names[name]] if name in names else begun_by(name, names):
                typed[long] = word.partition("=")[0]
    return typed


def _slip(text: str) -> Finding:
    """Make the warning about a slip of typing."""
    return Finding("typing-slip", "warning", text)


def _file(text: str) -> Path:
    """Parse a path."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f'"{text}" is no file name')
    return Path(text)


def _output(text: str) -> Path:
    """Parse the path of a file to be written."""
    require_file_name(text)
    return _file(text)


def _number(text: str) -> float:
    """Parse a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f'"{text}" is not a number')
    return value


def _positive(text: str) -> float:
    """Parse a number above zero."""
    value = _number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _whole(text: str) -> int:
    """Parse a whole number, zero or more."""
    value = _number(text)
    if value != int(value) or not 0 <= value < 2**53:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 0 or more")
    return int(value)


def _count(text: str) -> int:
    """Parse a whole number above zero."""
    value = _whole(text)
    if value == 0:
        raise argparse.ArgumentTypeError("0 is not above 0; leave it out for the default")
    return value
