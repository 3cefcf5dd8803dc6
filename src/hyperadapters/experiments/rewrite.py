"""A run folder written anew beside the old one, without ids that must not be in it."""

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperadapters.experiments.folder import RunFolder, refuse_existing
from hyperadapters.methods.full import FILE as BACKBONE_FILE

if TYPE_CHECKING:
    from hyperadapters.experiments.run import Run

_REWRITTEN = (
    *("run.json", "vocabulary.json", "people.json", "counts.json", "README.md"),
    *("adapter_config.json", "adapter_model.safetensors", BACKBONE_FILE),
    *("predictions.parquet", "scores.json", "checkpoint.safetensors", "posterior.safetensors"),
)
"""Files that are not carried over as they are; a checkpoint would hold the rows of everybody."""


def written_anew(
    run: "Run", output: Path | None, doing: str, write: Callable[[RunFolder], None]
) -> Path:
    """Make a folder aside, and move it to its place when it is whole.

    Args:
        run: The run.
        output: The new folder; `None` puts it in the place of the run's.
        doing: A word for the name of the folder aside.
        write: Writes all that is different; the rest is there already.

    Raises:
        RunError: The output exists.
    """
    target = run.folder.path if output is None else output
    if output is not None:
        refuse_existing(output)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{doing}-") as aside:
        made = RunFolder(Path(aside) / "run")
        made.path.mkdir()
        _carry(run.folder.path, made.path)
        write(made)
        if output is not None:
            if output.is_dir():
                output.rmdir()
            made.path.rename(output)
        else:
            # The old folder goes aside first, and with the temporary folder for good.
            old = target.rename(Path(aside) / "old")
            try:
                made.path.rename(target)
            except OSError:
                old.rename(target)
                raise
    return target


def change(what: str, n_annotators: int) -> dict[str, Any]:
    """What `run.json` says of a change: how many and when, and not who."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"what": what, "n_annotators": n_annotators, "when": now}


def _carry(source: Path, folder: Path) -> None:
    """Copy what is not written anew, also files that are not ours; they are searched for ids."""
    for path in source.iterdir():
        if path.is_dir():
            shutil.copytree(path, folder / path.name)
        elif path.name not in _REWRITTEN:
            shutil.copyfile(path, folder / path.name)


def ordinary_words(run: "Run") -> set[str]:
    """Words of the run that are not ids, whoever is called so."""
    record: dict[str, Any] = run.record.to_dict()
    words = {*record, *map(str, run.labels.names), *map(str, record["settings"].values())}
    words |= {*record["settings"], *record["versions"], record["method"], record["backbone"]}
    words |= {"dev", "test", "train", "known", "population", "attributes", "all"}
    words |= {str(name) for name in run.scores["metric"].unique()}
    if run.people is not None:
        words |= {v for row in run.people.values.values() for v in row} | {*run.people.names}
    return words
