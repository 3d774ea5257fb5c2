"""What the steps of a run compute with, besides their data."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..parallel.tasks import Executor
from ..progress import Progress, Timings
from ..resume.kept_stages import KeptStages
from ..resume.processing_files import ProcessingFiles


@dataclass(frozen=True)
class RunContext:
    """Processes, folders, kept results and progress of a run.

    Parameters
    ----------
    executor : Executor
    folder : Path
        For the files of tasks; every worker must see it.
    progress : Progress
        Keeps what was found, too.
    timings : Timings
    stages : KeptStages
        Results of an earlier run that are taken over, and where new ones are kept.
    files : ProcessingFiles
    together : bool
        Whether two steps may run at the same time, one in a thread.
    """

    executor: Executor
    folder: Path
    progress: Progress
    timings: Timings = field(default_factory=Timings)
    stages: KeptStages = field(default_factory=KeptStages)
    files: ProcessingFiles = field(default_factory=ProcessingFiles)
    together: bool = False

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Report and measure a stage."""
        self.progress.start(name)
        with self.timings.stage(name):
            yield

    def repeated(self) -> "RunContext":
        """Make a context to do something again in: nothing is shown, noted or kept of it."""
        return RunContext(self.executor, self.folder, self.progress.repeated())
