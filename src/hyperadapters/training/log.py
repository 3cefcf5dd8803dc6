"""The log of a training: one line of JSON for each evaluation on dev."""

from pathlib import Path

LOG = "log.jsonl"


def shorten_log(folder: Path, evaluations: int) -> None:
    """Drop the lines behind a checkpoint: they are about to be written again.

    Args:
        folder: The run folder; it may have no log yet.
        evaluations: How many evaluations the checkpoint knows.
    """
    path = folder / LOG
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines()[:evaluations]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
