"""The main job on the built-in data: train, compare, and ask how well known people were recovered.

All ratings are simulated, so the true probability of every label is known, and recovery can be
measured against it rather than against a sample of labels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hyperadapters.data.demo import annotators, load_comments, load_demo, true_probabilities
from hyperadapters.experiments.fit import fit
from hyperadapters.experiments.run import Run
from hyperadapters.tables.frames import column_of, columns_of, rows_of
from hyperadapters.training import Progress

METHODS = ("hyperlora", "intercept", "text-only", "annotator-mode", "global-mode")
METRICS = ("accuracy", "macro_f1", "annotator_macro_f1", "nll", "minority_accuracy")
RATINGS, COMMENTS = "ratings.csv", "comments.csv"
PEOPLE = ("sim-ada", "sim-bela", "sim-kira")
# Comments that are somewhat rude, without irony: people's rules differ on them, and one sees why.
SEVERITIES_SHOWN = (1, 2, 3)
TONES_SHOWN = ("plain", "angry")


@dataclass(frozen=True)
class DemoResult:
    """What the demo found.

    Attributes:
        runs: Method → finished run.
        scores: Method × metric on the test split.
        recovery: Method × (`correlation`, `agreement`) on the test texts, all 40 people; see
            `recovery_of`.
        texts: Three test texts with what three people say by their rules and by the model;
            columns `text, annotator, kind, true, predicted`, probabilities of ``toxic``.
    """

    runs: dict[str, Run]
    scores: pd.DataFrame
    recovery: pd.DataFrame
    texts: pd.DataFrame


def run_demo(output: Path, progress: Progress | None = None, **settings: Any) -> DemoResult:
    """Train on the demo data with every method of the demo.

    Args:
        output: Folder for the run folders, one per method; beside them the ratings
            (`ratings.csv`) and the comments of the test split (`comments.csv`), to go on with.
        progress: Who watches.
        **settings: Settings of the trained methods.

    Raises:
        RunError: One of the run folders exists.
    """
    progress = progress or Progress()
    ratings = load_demo()
    runs = {}
    for method in METHODS:
        runs[method] = fit(
            ratings, output=output / method, method=method, progress=progress, **settings
        )
    progress.message("asking every model about everyone")
    comments = load_comments().merge(ratings[["text_id", "split"]].drop_duplicates())
    held_out = rows_of(comments, column_of(comments, "split") == "test").drop(columns="split")
    texts = columns_of(held_out, ["text_id", "text"])
    ratings.to_csv(output / RATINGS, index=False)
    texts.to_csv(output / COMMENTS, index=False)
    predicted = {name: run.predict(texts) for name, run in runs.items()}
    truth = true_probabilities()
    recovery = {name: recovery_of(frame, truth) for name, frame in predicted.items()}
    return DemoResult(
        runs,
        pd.DataFrame({name: _test_scores(run) for name, run in runs.items()}).T,
        pd.DataFrame(recovery).T,
        _three_texts(held_out, truth, predicted[METHODS[0]]),
    )


def recovery_of(predictions: pd.DataFrame, truth: pd.DataFrame) -> dict[str, float]:
    """How well the people behind the ratings were recovered.

    Args:
        predictions: PREDICTIONS of every person for some texts.
        truth: Columns `text_id, annotator, p_toxic`.

    Returns:
        `correlation`: Pearson correlation, over all (person, text) pairs, of how far the
        predicted probability of ``toxic`` is from its mean over people with how far the true one
        is; 1 is perfect, 0 is a model that gives everyone the same answer. `agreement`: share of
        pairs in which the predicted label is the one that the person's rule makes likelier.
    """
    columns = ["text_id", "annotator", "p_toxic"]
    both = predictions[columns].merge(truth[columns], on=columns[:2], suffixes=("", "_true"))
    own, true = _deviations(both, "p_toxic"), _deviations(both, "p_toxic_true")
    spread = float(own.std() * true.std())
    same = (column_of(both, "p_toxic") > 0.5) == (column_of(both, "p_toxic_true") > 0.5)
    return {
        # Below this spread all people got the same answer but for rounding.
        "correlation": float(np.mean(own * true)) / spread if spread > 1e-9 else 0.0,
        "agreement": float(same.to_numpy().mean()),
    }


def _deviations(pairs: pd.DataFrame, name: str) -> np.ndarray:
    """How far each value is from its mean over people; the mean over each text's rows is 0."""
    value = column_of(pairs, name)
    return (value - value.groupby(pairs["text_id"]).transform("mean")).to_numpy(float)


def _test_scores(run: Run) -> dict[str, float]:
    scores = run.scores
    chosen = scores[(scores["split"] == "test") & (scores["slice"] == "all")]
    return chosen.set_index("metric")["value"].reindex(list(METRICS)).to_dict()


def _three_texts(
    comments: pd.DataFrame, truth: pd.DataFrame, predictions: pd.DataFrame
) -> pd.DataFrame:
    """Texts on which the rules of three people differ most, chosen without a look at the model."""
    shown = comments[
        comments["severity"].isin(SEVERITIES_SHOWN) & comments["tone"].isin(TONES_SHOWN)
    ]
    rules = truth.pivot(index="text_id", columns="annotator", values="p_toxic").loc[
        shown["text_id"], list(PEOPLE)
    ]
    chosen = []
    for person in PEOPLE:
        others = [other for other in PEOPLE if other != person]
        # Where this person stands alone.
        alone = (rules[person] - rules[others].mean(axis=1)).abs() - rules[others].std(axis=1)
        chosen.append(alone.drop(chosen).idxmax())
    kinds = {person.name: person.kind for person in annotators()}
    rows = [
        {
            "text": str(comments.set_index("text_id").loc[text_id, "text"]),
            "annotator": person,
            "kind": kinds[person],
            "true": float(rules.loc[text_id, person]),
            "predicted": _probability(predictions, str(text_id), person),
        }
        for text_id in chosen
        for person in PEOPLE
    ]
    return pd.DataFrame(rows)


def _probability(predictions: pd.DataFrame, text_id: str, person: str) -> float:
    asked = (predictions["text_id"] == text_id) & (predictions["annotator"] == person)
    return float(column_of(predictions, "p_toxic").to_numpy()[asked][0])
