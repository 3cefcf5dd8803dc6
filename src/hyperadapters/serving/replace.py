"""A folder in the place of another, in one step; the old one is kept until the new one is there."""

import ctypes
import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

from hyperadapters.errors import RunError

_AT_FDCWD, _EXCHANGE = -100, 2


def aside(folder: Path) -> Path:
    """A place on the same disk for what is to become this folder; does not exist yet.

    Raises:
        RunError: Nothing can be written beside the folder.
    """
    try:
        return Path(mkdtemp(dir=folder.parent, prefix=_prefix(folder))) / folder.name
    except OSError as error:
        raise RunError(f"nothing can be written beside {folder.name}: {error.strerror}") from error


def put_in_place(made: Path, folder: Path) -> None:
    """Put a folder that `aside` named in the place of another, and delete the other.

    Whoever opens the folder finds the old one or the new one whole. Where the system cannot
    exchange two names there is a moment without either; `tidy` puts the old one back should the
    machine stop just then.

    Raises:
        RunError: It could not be done; the old folder is where it was.
    """
    old = made.with_name("before")
    try:
        if not _exchanged(made, folder):
            folder.rename(old)
            try:
                made.rename(folder)
            except OSError:
                old.rename(folder)
                raise
    except OSError as error:
        raise RunError(f"{folder.name} cannot be replaced: {error.strerror}") from error
    shutil.rmtree(made.parent, ignore_errors=True)


def discard(made: Path) -> None:
    """Remove what `aside` named, unless the old folder is still there: then `tidy` is to see it."""
    if not made.with_name("before").exists():
        shutil.rmtree(made.parent, ignore_errors=True)


def tidy(folder: Path) -> None:
    """Undo what a process that was killed has left half done."""
    for left in folder.parent.glob(f"{_prefix(folder)}*"):
        old = left / "before"
        if not folder.exists() and old.is_dir():
            old.rename(folder)
        shutil.rmtree(left, ignore_errors=True)


def _prefix(folder: Path) -> str:
    return f".{folder.name}.next-"


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two names were exchanged, which Linux can do in one step."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    names = (os.fsencode(one.absolute()), os.fsencode(other.absolute()))
    return rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE) == 0
