"""Projects of the real CCP-EM Pipeliner, and what became of their jobs.

The Pipeliner is imported inside functions: its first import reads where its settings lie.
"""

import os
from pathlib import Path

NAME = "locscale_hybrid.postprocess.local_sharpening"
BUILT_IN = "locscale.postprocess.local_sharpening"
SECONDS = 180  # after which a test gives up waiting


def new_job(name=NAME, **options):
    """A job with options, which is in no project."""
    from pipeliner.job_factory import job_from_dict

    return job_from_dict({"_rlnJobTypeLabel": name, **options})


def complaints(job):
    """What the Pipeliner would show of the options, as text."""
    return [str(result) for result in job.validate_joboptions()]


class Project:
    """The project in the current folder."""

    def __init__(self):
        from pipeliner.api.manage_project import PipelinerProject

        self.api = PipelinerProject(make_new_project=True)

    def run(self, name=NAME, **options):
        """Run a job to its end."""
        job = self.api.run_job({"_rlnJobTypeLabel": name, **options}, run_in_foreground=True)
        return Done(self, job)

    def start(self, name=NAME, **options):
        """Start a job in the background, or submit it."""
        return Done(self, self.api.run_job({"_rlnJobTypeLabel": name, **options}))

    def wait(self, done):
        """Wait for the end of a job; its status."""
        status = self.api.wait_for_job_to_finish(done.job, ping=0.2, timeout=SECONDS)
        self._update()
        return status

    def process(self, folder):
        """A job in the project's graph."""
        from pipeliner.project_graph import ProjectGraph

        with ProjectGraph(name="default") as graph:
            return graph.find_process(folder)

    def _update(self):
        """Have the graph take over how jobs ended."""
        from pipeliner.project_graph import ProjectGraph

        with ProjectGraph(name="default", read_only=False) as graph:
            graph.check_process_completion()


class Done:
    """A job of a project."""

    def __init__(self, project, job):
        self.project, self.job = project, job
        self.folder = Path(job.output_dir).absolute()

    @property
    def status(self):
        return self.project.process(self.job.output_dir).status

    @property
    def nodes(self):
        """Type by file name of the outputs."""
        process = self.project.process(self.job.output_dir)
        return {os.path.basename(node.name): node.type for node in process.output_nodes}

    @property
    def metadata(self):
        from pipeliner.metadata_tools import get_job_metadata

        return get_job_metadata(self.project.process(self.job.output_dir))["results"]

    @property
    def output(self):
        return (self.folder / "run.out").read_text(encoding="utf-8")

    @property
    def errors(self):
        return (self.folder / "run.err").read_text(encoding="utf-8")

    def display(self):
        """What the Pipeliner shows, by kind; made anew from the files of the job."""
        job = self.project.api.get_job(self.job.output_dir)
        return {shown.dobj_type: shown for shown in job.save_results_display_files()}
