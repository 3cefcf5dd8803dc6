"""What `run.json` says: everything that made the run, and how far it came."""

import hashlib
import importlib.metadata
import platform
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, TypeVar

import pandas as pd

from hyperadapters.errors import RunError
from hyperadapters.tables.frames import column_of, columns_of

FORMAT = 1
PACKAGES = ("hyperadapters", "torch", "transformers", "peft", "accelerate", "numpy", "pandas")


READ_BY = {
    "annotators": "`hyperadapters.load` or `hyperadapters predict`",
    "tasks": "`hyperadapters.experiments.tasks.load_tasks` or `hyperadapters tasks predict`",
}
"""What a run is about → what opens it; a record without `kind` is about annotators."""


R = TypeVar("R", bound="Record")


class Record:
    """Reading and writing of `run.json`, whatever the run is about."""

    ABOUT: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)  # pyright: ignore[reportArgumentType]

    @classmethod
    def from_dict(cls: type[R], data: Any, source: str) -> R:
        """Inverse of `to_dict`.

        Raises:
            RunError: The layout is not one this version knows, or the run is about something else.
        """
        if not isinstance(data, dict) or "format" not in data:
            raise RunError(f"{source} is not the record of a run")
        about = data.get("kind", "annotators")
        if about != cls.ABOUT and about in READ_BY:
            raise RunError(f"{source} is the record of a run about {about}: use {READ_BY[about]}")
        try:
            record: Any = cls(**data)
        except TypeError as error:
            raise RunError(f"{source} is not the record of a run: {error}") from None
        if record.format != FORMAT:
            raise RunError(f"{source} has format {record.format}; this version reads {FORMAT}")
        return record


@dataclass(frozen=True)
class RunRecord(Record):
    """Content of `run.json`.

    Attributes:
        method: Name of the method.
        backbone: Name of the backbone.
        seed: The seed.
        settings: Every setting.
        data: Fingerprint and size of the ratings.
        versions: Versions of Python and the packages that matter.
        complete: Whether training, prediction and evaluation are done.
        results: Parameters, best evaluation (of before the temperature), temperature, seconds.
        changes: What was done to the run after training, such as people forgotten: how many and
            when, and not who.
        format: Version of this layout.
        adapted: Annotators who came after training → from how many labels, and when.
    """

    ABOUT: ClassVar[str] = "annotators"

    method: str
    backbone: str
    seed: int
    settings: dict[str, Any]
    data: dict[str, Any]
    versions: dict[str, str]
    complete: bool = False
    results: dict[str, Any] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)
    format: int = FORMAT
    adapted: dict[str, Any] = field(default_factory=dict)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    return found | {name: importlib.metadata.version(name) for name in PACKAGES}


def fingerprint(frame: pd.DataFrame) -> dict[str, Any]:
    """Size and SHA-256 of ratings with their splits, independent of attribute columns.

    ``pairs`` stands there, and is true, where a text is a pair of texts.
    """
    columns = ["text_id", "text", "text_pair", "annotator", "label", "split"]
    used = columns_of(frame, [name for name in columns if name in frame]).astype("str")
    content = used.to_csv(index=False).encode()
    return {
        "rows": len(frame),
        "texts": len(column_of(frame, "text_id").unique()),
        "annotators": len(column_of(frame, "annotator").unique()),
        "rows_by_split": {str(k): int(v) for k, v in frame["split"].value_counts().items()},
        "sha256": hashlib.sha256(content).hexdigest(),
        **({"pairs": True} if "text_pair" in frame else {}),
    }
