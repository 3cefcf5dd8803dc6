"""Arrays that take long to make, kept in a folder from one run to the next."""

import contextlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
from filelock import FileLock

from hyperadapters.errors import RunError

_ENDING = ".npy"


class ArrayCache:
    """A folder of arrays, each under a fingerprint of all that it was made of.

    Several processes may use one folder at a time: an array is made by one of them while the others
    wait, it appears when it is whole, and one that is being read may be deleted. Where the folder
    would grow beyond its bound, those go that have not been used for longest.

    Args:
        folder: The folder; made when something is put there.
        max_bytes: How much it may hold.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = Path(folder)
        self.max_bytes = max_bytes

    def get(
        self, fingerprint: str, shape: tuple[int, ...], make: Callable[[np.ndarray], None]
    ) -> np.ndarray | None:
        """The array of a fingerprint, made where it is not there or damaged.

        Args:
            fingerprint: A name of letters and digits for all that the array depends on.
            shape: Its shape; numbers are float32.
            make: Fills an array of that shape.

        Returns:
            The array, read-only and read from the file as it is needed; `None` where it is larger
            than the bound.

        Raises:
            RunError: The folder cannot be written to.
        """
        if int(np.prod(shape)) * np.dtype(np.float32).itemsize > self.max_bytes:
            return None
        path = self.folder / f"{fingerprint}{_ENDING}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):
                found = self._opened(path, shape)
                if found is None:
                    self._make(path, shape, make)
                    found = self._opened(path, shape)
        except OSError as error:
            raise RunError(
                f"{self.folder}: cannot be written: {error.strerror or error}; name another folder "
                "by HYPERADAPTERS_CACHE"
            ) from error
        return found

    def _opened(self, path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if array.shape != shape or array.dtype != np.float32:
            return None
        os.utime(path)
        return array

    def _make(self, path: Path, shape: tuple[int, ...], make: Callable[[np.ndarray], None]) -> None:
        # What an interrupted process has left; nobody else is at it.
        for left in self.folder.glob(f"{path.stem}.*.part"):
            left.unlink(missing_ok=True)
        part = self.folder / f"{path.stem}.{uuid.uuid4().hex}.part"
        try:
            array = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=shape)
            make(array)
            array.flush()
            del array
            self._make_room(part.stat().st_size)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, needed: int) -> None:
        kept = []
        for path in self.folder.glob(f"*{_ENDING}"):
            # Another process may have deleted it.
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                kept.append((about.st_mtime, about.st_size, path))
        total = needed + sum(size for _, size, _ in kept)
        for _, size, path in sorted(kept):
            if total <= self.max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size


def default_folder() -> Path:
    """Where arrays are kept: ``HYPERADAPTERS_CACHE``, or a folder among the user's caches."""
    named = os.environ.get("HYPERADAPTERS_CACHE")
    if named:
        return Path(named)
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "hyperadapters"
