"""Adapter folders that are either whole or not there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from hyperadapters.errors import ConfigError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def check_is_free(folder: Path) -> None:
    """Whether there can be a folder of that name.

    Raises:
        ConfigError: There is a file, or one further up.
    """
    if in_the_way := next((p for p in (folder, *folder.parents) if p.is_file()), None):
        raise ConfigError(f"{in_the_way} is a file; wanted a folder")


def is_whole(folder: Path) -> bool:
    """Whether an adapter lies in the folder."""
    return (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()


class FolderWriter:
    """Writes folders aside and puts them in their place when they are whole.

    Args:
        folder: Where to write aside: the folder that all of them lie in; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._aside: TemporaryDirectory[str] | None = None

    def __enter__(self) -> "FolderWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._aside is not None:
            self._aside.cleanup()

    @contextmanager
    def writing(self, folder: Path) -> Iterator[Path]:
        """Where to write what is to lie in this folder at the end of the block.

        Files that are there already and are not written again are left alone.
        """
        if self._aside is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            # On the same disk, so that moving is renaming.
            self._aside = TemporaryDirectory(dir=self.folder, prefix=".export-")
        # Not the temporary folder itself, which nobody else may read.
        aside = Path(self._aside.name) / folder.name
        aside.mkdir()
        yield aside
        if folder.exists():
            for file in sorted(aside.iterdir()):
                file.replace(folder / file.name)
            aside.rmdir()
        else:
            aside.rename(folder)
