"""Somebody who is just saying what they think: learned in memory, kept nowhere."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from hyperadapters.adaptation import check_adaptable, find_people
from hyperadapters.adaptation.intervals import bounds_of
from hyperadapters.adaptation.logits import VectorLogits
from hyperadapters.experiments import Run
from hyperadapters.experiments.adapt import checked_ratings
from hyperadapters.experiments.prior import prior_of_run
from hyperadapters.methods import AnnotatorClassifier, find_method

NAME = "newcomer"


@dataclass(frozen=True)
class Glimpse:
    """What is thought of somebody after a few labels.

    Attributes:
        p: What they are expected to say of each text.
        low: Lower ends of 90 % intervals.
        high: Upper ends.
        vector: Their vector.
    """

    p: Float[np.ndarray, "texts labels"]
    low: Float[np.ndarray, "texts labels"]
    high: Float[np.ndarray, "texts labels"]
    vector: Float[np.ndarray, " width"]


def glimpse(run: Run, ratings: pd.DataFrame, texts: pd.DataFrame) -> Glimpse:
    """Learn one person from their labels alone; nothing of the run is changed.

    Args:
        run: The run.
        ratings: Columns `text`, `label`, perhaps `text_pair`; may be empty.
        texts: What they are asked: column `text`, perhaps `text_pair`.

    Raises:
        ConfigError: The method has no vector of an annotator that could be learned.
        DataError: A label is not one of the run's, or a text has two labels.
    """
    check_adaptable(find_method(run.record.method))
    fitted = run.fitted
    assert isinstance(fitted, AnnotatorClassifier)  # noqa: S101 - the method is adaptable
    prior = prior_of_run(run, fitted)
    asked = texts.assign(annotator=NAME).drop(columns="label", errors="ignore")
    logits = VectorLogits(fitted, fitted.examples(asked))
    if len(ratings):
        found = find_people(fitted, checked_ratings(run, ratings.assign(annotator=NAME)), prior)
        vector, covariance = found.vectors[0], found.posterior.covariance(0)
    else:
        vector, covariance = prior.mean, prior.covariance
    rows = np.arange(len(asked))
    answers, jacobian = logits(rows, vector.double().expand(len(rows), -1))
    spread = jacobian @ covariance @ jacobian.transpose(1, 2)
    low, high = bounds_of(answers, spread, run.record.seed)
    p = answers.softmax(dim=1).numpy()
    return Glimpse(p, np.minimum(low, p), np.maximum(high, p), vector.double().numpy())
