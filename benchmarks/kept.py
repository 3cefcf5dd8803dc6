"""Finished runs on ratings, kept in the repository: what they predicted, and what they say of it.

A table of methods fills up over many sessions and machines, and paired differences need the
predictions of both. Of a run this keeps the probabilities of its dev and test rows in the order of
the data set, and `run.json`; texts, people and labels stay where they are, and are read from the
data set again. Runs of before probabilities were calibrated get the temperature when they are read,
as `fit` finds it: from their own probabilities of dev.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hyperadapters.evaluation import evaluate
from hyperadapters.experiments.record import RunRecord
from hyperadapters.tables import check_predictions
from hyperadapters.training.temperature import at_temperature, counted, temperature_of

SOURCES = ("known", "population", "adapted", "attributes")
SPLITS = ("dev", "test")
COLUMNS = ["text_id", "annotator", "label", "split"]


@dataclass(frozen=True)
class Kept:
    """A finished run.

    Attributes:
        record: Its `run.json`, with the temperature among the results where there is one.
        predictions: Its PREDICTIONS of the `SPLITS`.
    """

    record: RunRecord
    predictions: pd.DataFrame

    @property
    def scores(self) -> pd.DataFrame:
        """SCORES of test, without intervals."""
        test = self.predictions[self.predictions["split"] == "test"]
        return evaluate(test.reset_index(drop=True), intervals=False)

    @property
    def uncalibrated(self) -> "Kept":
        """The same as sure as training made it."""
        temperature = self.record.results.get("temperature", 1.0)
        return replace(self, predictions=_at(self.predictions, 1 / temperature, self.record))


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
    content = {
        "record": run.record.to_dict(),
        "rows": _fingerprint(asked),
        "probabilities": names,
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
    record = RunRecord.from_dict(content["record"], path.name)
    return _calibrated(Kept(record, _checked(predictions)))


def _calibrated(made: Kept) -> Kept:
    """With the temperature that `fit` would find, where the run was made before it did."""
    record, predictions = made.record, made.predictions
    is_calibrated = record.settings.get("calibration") == "temperature"
    if is_calibrated or not record.results["trainable_parameters"]:
        return made
    dev = predictions[predictions["split"] == "dev"]
    is_known = (dev["source"] == "known").to_numpy()
    dev = dev[counted(is_known, np.ones(len(dev), bool))]
    names = _probabilities(dev)
    labels = ("p_" + dev["label"].astype(str)).map(names.index).to_numpy(np.int64)
    cumulative = record.settings.get("head", "softmax") != "softmax"
    found = temperature_of(dev[names].to_numpy(np.float64), labels, cumulative=cumulative)
    record = replace(record, results={**record.results, "temperature": round(found, 4)})
    return Kept(record, _at(predictions, found, record))


def _at(predictions: pd.DataFrame, temperature: float, record: RunRecord) -> pd.DataFrame:
    names = _probabilities(predictions)
    cumulative = record.settings.get("head", "softmax") != "softmax"
    p = at_temperature(predictions[names].to_numpy(np.float64), temperature, cumulative=cumulative)
    return predictions.assign(**dict(zip(names, p.T, strict=True)))


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
