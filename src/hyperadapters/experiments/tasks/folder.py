"""What the folder of a run on tasks holds."""

from pathlib import Path

from hyperadapters.experiments.folder import RunFolder


class TaskFolder(RunFolder):
    """Names of everything that a run on tasks writes; see `RunFolder` for those it shares."""

    @property
    def tasks(self) -> Path:
        """The tasks: their order and their declarations."""
        return self.path / "tasks.json"
