"""How sure the model is of single people: intervals, where they are known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from hyperadapters.adaptation import Intervals
from hyperadapters.serving.limits import Limits
from hyperadapters.serving.people import Directory
from hyperadapters.serving.refusals import RefusedError


@dataclass(frozen=True)
class Bounds:
    """Ends of 90 % intervals of probabilities; NaN of people of training, who have none.

    Attributes:
        low: Lower ends.
        high: Upper ends.
    """

    low: Float[np.ndarray, "texts annotators labels"]
    high: Float[np.ndarray, "texts annotators labels"]

    def of(self, text: int, person: int) -> tuple[list[float], list[float]] | None:
        """Both ends of one person's answer to a text; `None` where there are none."""
        if np.isnan(self.low[text, person, 0]):
            return None
        return self.low[text, person].tolist(), self.high[text, person].tolist()


def bounds_of(
    intervals: Intervals,
    directory: Directory,
    texts: tuple[str, ...],
    pairs: tuple[str, ...] | None,
    annotators: tuple[str, ...],
    p: Float[np.ndarray, "texts annotators labels"],
    columns: tuple[str, ...],
) -> Bounds:
    """Intervals of those who came by a few labels, and of strangers; others are not looked at.

    Args:
        intervals: What the run knows of how sure it is.
        directory: Who is in the run.
        texts: The texts.
        pairs: The second texts, where texts are pairs.
        annotators: Who was asked.
        p: What they answered.
        columns: Names of the probabilities, in the order of the labels.
    """
    has = has_bounds(directory, annotators)
    low, high = np.full_like(p, np.nan), np.full_like(p, np.nan)
    n = int(has.sum())
    if n:
        who = np.asarray(annotators, object)[has]
        rows = pd.DataFrame({"text": np.repeat(np.asarray(texts, object), n)})
        rows["text_id"] = np.repeat([str(number) for number in range(len(texts))], n)
        rows["annotator"] = np.tile(who, len(texts))
        if pairs is not None:
            rows["text_pair"] = np.repeat(np.asarray(pairs, object), n)
        asked = p[:, has].reshape(len(rows), -1)
        answers = pd.DataFrame(dict(zip(columns, asked.T, strict=True)))
        found = intervals.add_to(answers, rows)
        for side, ends in (("low", low), ("high", high)):
            names = [side + column.removeprefix("p") for column in columns]
            ends[:, has] = found[names].to_numpy(np.float64).reshape(len(texts), n, -1)
    return Bounds(low, high)


def has_bounds(directory: Directory, annotators: tuple[str, ...]) -> Bool[np.ndarray, " people"]:
    """Of whom it is known how sure the model is."""
    return np.array([directory.source_of(name) != "known" for name in annotators], bool)


def check_bounds(
    n_texts: int, annotators: tuple[str, ...], directory: Directory, limits: Limits
) -> None:
    """Refuse what would keep the machine busy for too long.

    Raises:
        RefusedError: There are too many texts times people who have intervals.
    """
    n = int(has_bounds(directory, annotators).sum())
    if n_texts * n > limits.interval_rows:
        raise RefusedError(
            422,
            f"{n_texts:,} texts times {n:,} annotators with intervals are more than "
            f"{limits.interval_rows:,}; send several requests",
        )
