"""The job of the CCP-EM Pipeliner and of Doppio: "LocScale hybrid".

Found by the Pipeliner through the entry point of the group ``ccpem_pipeliner.jobs``; nothing here
imports it.  Needs the extra ``[pipeliner]``.  Loading it computes nothing: listing its jobs makes
the Pipeliner load every one.
"""

import glob
import itertools
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pipeliner.external_program_utils import ExternalProgram
from pipeliner.job_options import JobOptionValidationResult
from pipeliner.nodes import (
    NODE_ATOMCOORDS,
    NODE_DENSITYMAP,
    NODE_EVALUATIONMETRIC,
    NODE_LOGFILE,
    NODE_MASK3D,
    NODE_PROCESSDATA,
    NODE_VISUALISATIONSCRIPT,
)
from pipeliner.pipeliner_job import PipelinerCommand, PipelinerJob, Ref
from pipeliner.utils import file_in_project, get_python_command

from .._version import __version__
from ..cli.request import given_options, request_of
from ..cli.words import COMMAND_LINE
from ..errors import InputError
from ..parameters import HybridParameters
from .display import (
    failed_run,
    findings_table,
    fsc_graph,
    html_report,
    key_figures,
    map_and_model,
    slices,
)
from .options import FURTHER_MAPS, PARAMETERS, job_options, process_option
from .words import PIPELINER

# Names in the job's folder follow from this one as they do on the command line.
_STEM = "locscale_hybrid"
_STAGES = "stages"
_INPUT_FILES = ("input_halfmap1", "input_halfmap2", "input_map", "input_model", "input_mask")
# What may be there after a run: ending of the name, type and keywords of its node.  A sharpened
# half map is never a "halfmap": it must not be offered as raw data to a job or a deposition.
_FURTHER_NODES = (
    ("_model.cif", NODE_ATOMCOORDS, ("locscale", "hybrid", "pseudoatoms")),
    ("_localB.mrc", NODE_EVALUATIONMETRIC, ("locscale", "local_bfactor")),
    ("_sharpened_half1.mrc", NODE_DENSITYMAP, ("locscale", "sharpened_half")),
    ("_sharpened_half2.mrc", NODE_DENSITYMAP, ("locscale", "sharpened_half")),
    ("_gain_*.mrc", NODE_EVALUATIONMETRIC, ("locscale", "gain")),
    ("_resolution.mrc", NODE_EVALUATIONMETRIC, ("locscale", "local_resolution")),
    ("_provenance.mrc", NODE_EVALUATIONMETRIC, ("locscale", "provenance")),
    ("_mask.mrc", NODE_MASK3D, ("locscale",)),
    ("_reference.mrc", NODE_DENSITYMAP, ("locscale", "reference")),
    ("_view.json", NODE_VISUALISATIONSCRIPT, ("locscale", "local_bfactor", "chimerax")),
)

_LONG_DESCRIPTION = """\
Two half maps and the atomic model as far as it is built go in. Density that the model leaves out \
is filled with pseudo-atoms, the B factors of both are refined against the half maps, and every \
part of the map gets the amplitude fall-off of its own reference. Two maps come out: one for \
looking and building, and a linear one for measuring and deposition. Phases come from the half \
maps alone. No networks are used."""
_REFERENCES = (
    {
        "authors": ["Jakobi AJ", "Wilmanns M", "Sachse C"],
        "journal": "eLife",
        "year": "2017",
        "title": "Model-based local density sharpening of cryo-EM maps",
        "volume": "6",
        "pages": "e27131",
        "doi": "10.7554/eLife.27131",
    },
    {
        "authors": ["Bharadwaj A", "Jakobi AJ"],
        "journal": "Faraday Discussions",
        "year": "2022",
        "title": "Electron scattering properties of biological macromolecules and their use for "
        "cryo-EM map sharpening",
        "volume": "240",
        "pages": "168-183",
        "doi": "10.1039/D2FD00078D",
    },
    {
        "authors": ["Bharadwaj A", "de Bruin R", "Jakobi AJ"],
        "journal": "bioRxiv",
        "year": "2025",
        "title": "Confidence-guided cryo-EM map optimisation with LocScale-2.0",
        "doi": "10.1101/2025.09.11.674726",
    },
)


class HybridLocScaleJob(PipelinerJob):  # type: ignore[misc]  # the Pipeliner has no types
    """Local sharpening with a partial model.

    Every method is one that the Pipeliner calls; its `PipelinerJob` says when.
    """

    PROCESS_NAME = "locscale_hybrid.postprocess.local_sharpening"
    OUT_DIR = "LocScaleHybrid"
    CATEGORY_LABEL = "Map Postprocessing"

    def __init__(self) -> None:
        super().__init__()
        info = self.jobinfo
        info.display_name = "LocScale hybrid"
        info.short_desc = "Local sharpening with a partial atomic model"
        info.long_desc = _LONG_DESCRIPTION
        info.version = __version__
        info.job_author = "The Hybrid LocScale developers"
        info.documentation = "locscale-hybrid --help, and docs/pipeliner.md of its source"
        info.references = [Ref(**reference) for reference in _REFERENCES]
        program = ExternalProgram("locscale-hybrid", vers_com=[*_program(), "--version"])
        program.exe_path = _beside_python(program.command) or sys.executable  # not one of PATH
        info.programs = [program]
        self.joboptions.update(job_options())
        self.get_runtab_options(mpi=True, addtl_args=True)
        _prefer_own_mpirun(self.joboptions["mpi_command"])
        self.joboptions.update(process_option())
        self.joboptions["other_args"].help_text = (
            "Further options of locscale-hybrid as on its command line, e.g. "
            "--symmetry_centre 50 50 49. Default: blank."
        )

    # ---- before the run -------------------------------------------------------------------------

    def additional_joboption_validation(self) -> list[Any]:
        """Check options together: values out of range, files that exclude each other."""
        results = [*self._range_errors(), *self._symmetry_errors(), *self._file_errors()]
        return results or list(self._argument_errors())

    def create_output_nodes(self) -> None:
        """Declare the files that every run writes."""
        made = ["locscale", "localsharpen", "hybrid"]
        self.add_output_node(f"{_STEM}.mrc", NODE_DENSITYMAP, made)
        self.add_output_node(f"{_STEM}_linear.mrc", NODE_DENSITYMAP, [*made, "linear"])
        self.add_output_node(f"{_STEM}.json", NODE_PROCESSDATA, ["locscale", "record"])
        self.add_output_node(f"{_STEM}_report.html", NODE_LOGFILE, ["locscale", "report"])

    def get_commands(self) -> list[Any]:
        """Return the run, and for a local B map the script that colours by it."""
        mpi = self.get_nr_mpi() > 1
        launcher = self.get_mpi_command() if mpi else []
        commands = [
            *self.get_program_version_commands(),
            PipelinerCommand([*launcher, *_program(), *self._words(mpi=mpi)]),
        ]
        if self.joboptions["output_local_b"].get_boolean():
            shown = [self._path(tail) for tail in (".mrc", "_localB.mrc", "_model.cif")]
            commands.append(
                PipelinerCommand([*_program("pipeliner_view"), *shown], allow_failure=True)
            )
        return commands

    # ---- after the run --------------------------------------------------------------------------

    def create_post_run_output_nodes(self) -> None:
        """Declare what was written beside the two maps, the record and the report."""
        for tail, kind, keywords in _FURTHER_NODES:
            pattern = glob.escape(self._path("")) + tail
            for path in sorted(glob.glob(pattern)):
                self.add_output_node(os.path.basename(path), kind, list(keywords))

    def create_results_display(self) -> Sequence[Any]:
        """Show findings, the map with the hybrid model, slices, FSC and the report; or the log."""
        record = self._record()
        if record is None:
            return failed_run(self.output_dir)
        record_path, output = self._path(".json"), self._path(".mrc")
        first = next(name for name in ("input_map", "input_halfmap1") if self._text(name))
        label = "full map" if first == "input_map" else "half map 1"
        return [
            *findings_table(record, record_path),
            *map_and_model(record, output, self._path("_model.cif"), self.output_dir),
            *slices({self._text(first): label, output: "sharpened"}, self.output_dir),
            *fsc_graph(record, record_path),
            *html_report(self._path("_report.html")),
        ]

    def gather_metadata(self) -> dict[str, Any]:
        """Key figures from the record; never from the log."""
        record = self._record()
        return {} if record is None else key_figures(record)

    def get_onedep_symmetry(self) -> str:
        """Spell the point group as OneDep does: Cn, Dn, T, O or I."""
        symbol = "".join(self._text("sym_group").split()).upper()
        return symbol.rstrip("1234") if symbol.startswith("I") else symbol

    def prepare_clean_up_lists(self, do_harsh: bool = False) -> tuple[list[str], list[str]]:
        """Name what can go: the folder that ranks shared."""
        stages = os.path.join(self.output_dir, _STAGES)
        return [], [stages] if os.path.isdir(stages) else []

    # ---- words of the command line --------------------------------------------------------------

    def _words(self, *, mpi: bool) -> list[str]:
        """Make the command line after the program's name."""
        words = self._input_words()
        for name, (option, field) in PARAMETERS.items():
            given = self.joboptions[name]
            if not given.is_blank and given.value != getattr(HybridParameters(), field):
                words += [option, str(given.value)]
        further = [
            output
            for name, outputs in FURTHER_MAPS.items()
            if self.joboptions[name].get_boolean()
            for output in outputs
        ]
        words += ["--outputs", "model", *further, "--print_report"]
        if mpi:  # perhaps on several hosts, which must share a folder; and an abort of mpirun
            words += ["-mpi", "-op", os.path.join(self.output_dir, _STAGES)]  # may leave it
        elif not self.joboptions["processes"].is_blank:
            words += ["-np", str(self.joboptions["processes"].value)]
        return [*words, *self.parse_additional_args(), "-o", self._path(".mrc")]

    def _input_words(self) -> list[str]:
        """List maps, model and mask."""
        if self._text("input_map"):
            words = ["-em", self._text("input_map")]
        else:
            words = ["-hm", self._text("input_halfmap1"), self._text("input_halfmap2")]
        if self._text("input_model"):
            words += ["-mc", self._text("input_model")]
            words += ["--complete_model"] if self.joboptions["complete_model"].get_boolean() else []
        return words + (["-ma", self._text("input_mask")] if self._text("input_mask") else [])

    def _text(self, name: str) -> str:
        """Return the value of a text option; none is the empty text."""
        return str(self.joboptions[name].value or "")

    def _path(self, tail: str) -> str:
        """Return a file of this job, from the project folder."""
        return os.path.join(self.output_dir, _STEM + tail)

    def _record(self) -> dict[str, Any] | None:
        """Read the record of the run; None if it did not finish."""
        try:
            with open(self._path(".json"), encoding="utf-8") as stream:
                record: dict[str, Any] = json.load(stream)
        except (OSError, ValueError):
            return None
        return record

    # ---- what is wrong with the options ---------------------------------------------------------

    def _error(self, message: str, *names: str) -> Any:
        """Make an error of some options."""
        return JobOptionValidationResult(
            "error", [self.joboptions[name] for name in names], message
        )

    def _range_errors(self) -> Iterator[Any]:
        """Values that `HybridParameters` refuses, each at its own option."""
        for name, (_, field) in PARAMETERS.items():
            option = self.joboptions[name]
            try:
                HybridParameters.from_dict({} if option.is_blank else {field: option.value})
            except InputError as error:
                yield self._error(error.worded(PIPELINER), name)

    def _symmetry_errors(self) -> Iterator[Any]:
        """Report a point group that is unknown."""
        from ..symmetry.point_groups import parse_point_group

        try:
            parse_point_group(self._text("sym_group") or "C1")
        except InputError as error:
            yield self._error(error.worded(PIPELINER), "sym_group")

    def _file_errors(self) -> Iterator[Any]:
        """Files that exclude each other, or that the Pipeliner could not copy beside each other."""
        halves = ("input_halfmap1", "input_halfmap2")
        given = [name for name in halves if self._text(name)]
        if given and self._text("input_map"):
            yield self._error(
                "both half maps and a full map given: give two half maps, or one full map",
                *given,
                "input_map",
            )
        if len(given) == 2 and _same_file(*map(self._text, given)):
            yield self._error(
                f"{self._text(given[0])} was given for both half maps: give the other one too",
                *given,
            )
            return
        copied = [name for name in _INPUT_FILES if self._is_copied(name)]
        for first, second in itertools.combinations(copied, 2):
            if os.path.basename(self._text(first)) == os.path.basename(self._text(second)):
                yield self._error(
                    f"{self._text(first)} and {self._text(second)} have the same name and lie "
                    "outside the project, whose copies would lie in one folder: rename one, or "
                    "import both into the project",
                    first,
                    second,
                )

    def _is_copied(self, name: str) -> bool:
        """Test whether the Pipeliner copies an input into the folder of the job."""
        path = self._text(name)
        return bool(path) and (not file_in_project(path) or path.startswith("DoppioUploads"))

    def _argument_errors(self) -> Iterator[Any]:
        """Report what the program would say about further options on its command line."""
        if not self._text("other_args"):
            return
        try:
            words = self._words(mpi=self.get_nr_mpi() > 1)
        except ValueError:
            yield self._error("a quotation mark is not closed: close it", "other_args")
            return
        if "" in words:  # an input that is required and missing, which the Pipeliner says
            return
        try:
            request_of(*given_options(words))
        except InputError as error:
            yield self._error(error.worded(COMMAND_LINE), "other_args")


def _program(module: str = "") -> list[str]:
    """Return the words that start this program, or a module of it, in this Python.

    -P: the project folder is no place to import from.
    """
    name = "locscale_hybrid"
    return [*get_python_command(), "-P", "-m", f"{name}.{module}" if module else name]


def _beside_python(command: str) -> str | None:
    """Find a program in the environment of this Python, on PATH or not."""
    return shutil.which(command, path=os.path.dirname(sys.executable))


def _prefer_own_mpirun(option: Any) -> None:
    """Name the mpirun beside this Python, whose MPI is that of mpi4py, where users set none."""
    words = str(option.default_value).split()
    own = _beside_python("mpirun")
    if words[:1] == ["mpirun"] and own is not None:
        option.default_value = option.value = " ".join([shlex.quote(own), *words[1:]])


def _same_file(first: str, second: str) -> bool:
    """Test whether two paths name one file."""
    if os.path.exists(first) and os.path.exists(second):
        return os.path.samefile(first, second)
    return os.path.abspath(first) == os.path.abspath(second)
