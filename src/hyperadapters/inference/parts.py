"""The finished chunks of a long job, in a hidden folder beside the file that they will become."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hyperadapters.errors import RunError
from hyperadapters.tables.scores import refuse_to_overwrite

_FORMAT = 1
_MANIFEST = "job.json"


class Parts:
    """One Parquet file per chunk, and a manifest that says what job they are of.

    A part appears in one step when it is whole, so that a job that is stopped at any moment loses
    the chunk it was at and nothing else.

    Args:
        targets: The files that the job makes; the folder lies beside the first one.
        made_of: What the answers depend on → its fingerprint.
        n_parts: Number of chunks.
    """

    def __init__(self, targets: Sequence[Path], made_of: Mapping[str, str], n_parts: int) -> None:
        self.folder = targets[0].with_name(f".{targets[0].name}.parts")
        self._targets = targets
        self._manifest: dict[str, Any] = {
            **{"format": _FORMAT, "made_of": dict(made_of), "n_parts": n_parts},
            "assembling": False,
        }

    @contextmanager
    def begun(self, *, resume: bool) -> Iterator[bool]:
        """A block in which the job is done; the folder goes when the block ends well.

        Args:
            resume: Whether to go on with a job that was stopped.

        Yields:
            Whether targets that are there already are the job's own, and may be replaced.

        Raises:
            RunError: A target is there already; a job was stopped and is not to be resumed, or was
                another one; something cannot be written.
        """
        before = self._found(resume)
        ours = before is not None and bool(before["assembling"])
        if not ours:
            for target in self._targets:
                refuse_to_overwrite(target)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if before is None:
                self._write_manifest()
            yield ours
            shutil.rmtree(self.folder)
        except OSError as error:
            reason = error.strerror or error
            raise RunError(
                f"{self._targets[0]}: cannot be written: {reason}{self._kept()}"
            ) from error
        finally:
            if self.folder.is_dir() and not self._finished():
                shutil.rmtree(self.folder, ignore_errors=True)

    def _kept(self) -> str:
        n = len(self._finished())
        return f"; {n} finished parts are kept, go on with --resume" if n else ""

    def has(self, number: int) -> bool:
        """Whether a chunk is finished and can be read."""
        try:
            pq.read_metadata(self._path(number))
        except (OSError, pa.ArrowException):  # not there, or the machine stopped in the middle
            return False
        return True

    def save(self, number: int, frame: pd.DataFrame) -> None:
        """Keep a finished chunk."""
        path = self._path(number)
        frame.to_parquet(path.with_suffix(".tmp"), index=False)
        path.with_suffix(".tmp").replace(path)

    def frames(self) -> Iterator[pd.DataFrame]:
        """All finished chunks, one after the other."""
        return (pd.read_parquet(self._path(i)) for i in range(self._manifest["n_parts"]))

    def assemble(self) -> None:
        """Note that the targets are written from now on: if they are there, they are ours."""
        self._manifest["assembling"] = True
        self._write_manifest()

    def _finished(self) -> list[Path]:
        return sorted(self.folder.glob("*.parquet")) if self.folder.is_dir() else []

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06}.parquet"

    def _write_manifest(self) -> None:
        part = self.folder / f"{_MANIFEST}.tmp"
        part.write_text(json.dumps(self._manifest, indent=2) + "\n", encoding="utf-8")
        part.replace(self.folder / _MANIFEST)

    def _found(self, resume: bool) -> dict[str, Any] | None:
        """The manifest of a job that was stopped."""
        if not self._finished():
            return None
        if not resume:
            raise RunError(
                f"{self._targets[0]}: a job that was to make this file was stopped; go on with "
                f"--resume, or remove {self.folder} to begin again"
            )
        try:
            found = json.loads((self.folder / _MANIFEST).read_text(encoding="utf-8"))
            theirs = dict(found["made_of"])
            same = found["format"] == _FORMAT and found["n_parts"] == self._manifest["n_parts"]
        except (OSError, ValueError, KeyError, TypeError):
            raise RunError(f"{self.folder}: is damaged; remove it to begin again") from None
        ours = self._manifest["made_of"]
        other = sorted(name for name in ours if ours[name] != theirs.get(name))
        if other or not same:
            raise RunError(
                f"{self._targets[0]}: the job that was stopped had another "
                f"{', another '.join(other) or 'layout'}; repeat it as it was, or remove "
                f"{self.folder} to begin again"
            )
        return found
