"""Finished runs on ratings, kept in the repository: what they predicted, and what they say of it.

A table of methods fills up over many sessions and machines, and paired differences need the
predictions of both. Of a run this keeps the probabilities of its dev and test rows in the order of
the data set, `run.json`, and the scores of whole slices; texts, people and labels stay where they
are, and are read from the data set again.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hyperadapters.experiments.record import RunRecord
from hyperadapters.tables import check_predictions

SOURCES = ("known", "population", "adapted", "attributes")
SPLITS = ("dev", "test")
SLICES = ("all", "known", "population")
COLUMNS = ["text_id", "annotator", "label", "split"]


@dataclass(frozen=True)
class Kept:
    """A finished run.

    Attributes:
        record: Its `run.json`.
        scores: Its SCORES of test, of the slices in `SLICES`.
        predictions: Its PREDICTIONS of the `SPLITS`.
    """

    record: RunRecord
    scores: pd.DataFrame
    predictions: pd.DataFrame


def keep(run: Any, ratings: pd.DataFrame, path: Path) -> None:
    """Write a run to `path` with the ends ``.json`` and ``.npz``.

    Args:
        run: The finished run.
        ratings: ANNOTATIONS that it was made from.
        path: Where, without an end.

    Raises:
        ValueError: The run does not predict these rows of `ratings` in their order, split by split.
    """
    predictions, asked = _asked(run.predictions), _asked(ratings)
    if _fingerprint(predictions) != _fingerprint(asked):
        raise ValueError(f"the run to be kept at {path} is of other rows")
    names = _probabilities(predictions)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path.with_suffix(".npz"),
        probabilities=predictions[names].to_numpy(np.float32),
        predicted=("p_" + predictions["predicted"].astype(str)).map(names.index).to_numpy(np.uint8),
        source=predictions["source"].map(SOURCES.index).to_numpy(np.uint8),
    )
    scores = run.scores
    scores = scores[(scores["split"] == "test") & scores["slice"].isin(SLICES)]
    content = {
        "record": run.record.to_dict(),
        "rows": _fingerprint(asked),
        "probabilities": names,
        "scores": scores.astype(object).where(scores.notna(), None).to_dict("records"),
    }
    path.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def is_kept(path: Path) -> bool:
    """Whether a run was kept there; it is, once its ``.json`` is."""
    return path.with_suffix(".json").exists()


def read(path: Path, ratings: pd.DataFrame) -> Kept:
    """What `keep` wrote, with the texts, people and labels of the data set.

    Raises:
        ValueError: The data set has other rows than the run had.
    """
    content = json.loads(path.with_suffix(".json").read_text("utf-8"))
    asked = _asked(ratings)
    if content["rows"] != _fingerprint(asked):
        raise ValueError(f"{path} was made from other rows than the data set has")
    names = content["probabilities"]
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        of_labels = arrays["probabilities"].astype(np.float64)
        sources = np.array(SOURCES, dtype=object)[arrays["source"]]
        predicted = np.array(names, dtype=object)[arrays["predicted"]]
    predictions = pd.concat([asked[COLUMNS], pd.DataFrame(of_labels, columns=names)], axis=1)
    predictions = predictions.assign(
        predicted=[name.removeprefix("p_") for name in predicted],
        source=sources,
        method=content["record"]["method"],
        seed=content["record"]["seed"],
    )
    scores = pd.DataFrame(content["scores"])
    return Kept(RunRecord.from_dict(content["record"], path.name), scores, _checked(predictions))


def _asked(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame[frame["split"] == name] for name in SPLITS], ignore_index=True)


def _checked(predictions: pd.DataFrame) -> pd.DataFrame:
    predictions["label"] = predictions["label"].astype(str)
    return check_predictions(predictions, source="kept predictions")


def _probabilities(predictions: pd.DataFrame) -> list[str]:
    return [name for name in predictions.columns if name.startswith("p_")]


def _fingerprint(rows: pd.DataFrame) -> str:
    """Of the people and labels of the rows, in their order."""
    lines = rows["text_id"].astype(str)
    for name in ("annotator", "label"):
        lines = lines + "\t" + rows[name].astype(str)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
