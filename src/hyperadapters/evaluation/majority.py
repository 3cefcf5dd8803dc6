"""Metrics around the majority of a text: those who leave it, and whether it is predicted."""

import numpy as np
from jaxtyping import Bool, Float, Int

from hyperadapters.evaluation.counts import (
    CodedRows,
    Metric,
    confusion_sums,
    macro_f1_of,
    mean_metric,
    text_metric,
)


def minority_accuracy(rows: CodedRows) -> Metric:
    """Accuracy on the rows whose label differs from the majority label of their text.

    The majority is that of the labelled rows of the text within the slice. Texts whose majority
    is tied contribute no rows, nor do texts with a single rating. A model that does not know who
    is asked does worst here.

    Range 0 to 1, higher is better. `n`: minority rows.
    """
    majority, tied = majority_of(rows.votes(rows.label))
    minority = ~tied[rows.text] & (rows.label != majority[rows.text])
    unit, correct = rows.unit[minority], rows.correct[minority]
    return mean_metric("minority_accuracy", unit, correct, rows.n_units)


def majority_macro_f1(rows: CodedRows) -> Metric:
    """Macro-F1 over texts of the predicted majority against the true majority.

    Both are majorities over the people who labelled the text: of the labels that were predicted
    for them, and of the labels that they gave. Texts whose true labels tie are left out; a tie of
    predicted labels goes to the label with the higher summed probability, then to the first. The
    mean F1 is taken over the labels that occur as either majority.

    Range 0 to 1, higher is better. `n`: texts.
    """
    truth, tied = majority_of(rows.votes(rows.label))
    guess = predicted_majority(rows)
    texts = np.flatnonzero(~tied)
    shape = (rows.n_texts, 1, len(rows.labels))
    pooled = np.zeros(len(texts), dtype=np.int64)
    sums = confusion_sums(texts, pooled, truth[texts], guess[texts], shape)

    def finish(totals: np.ndarray) -> np.ndarray:
        return macro_f1_of(totals, shape[2])[:, 0]

    return text_metric(rows, Metric("majority_macro_f1", sums, finish, len(texts)))


def hard_micro_f1(rows: CodedRows) -> Metric:
    """Share of texts whose predicted majority is the true majority.

    Majorities and ties as in `majority_macro_f1`. With one label for each text, micro-F1 is this
    share. LeWiDi gave texts without a majority a label at random; here they are left out.

    Range 0 to 1, higher is better. `n`: texts. Source: LeWiDi 2023 (SemEval-2023 task 11),
    scikit-learn, ``f1_score(average="micro")``.
    """
    truth, tied = majority_of(rows.votes(rows.label))
    texts = np.flatnonzero(~tied)
    hit = (predicted_majority(rows) == truth)[texts].astype(np.float64)
    return text_metric(rows, mean_metric("hard_micro_f1", texts, hit, rows.n_texts))


def majority_of(
    votes: Float[np.ndarray, "texts labels"],
) -> tuple[Int[np.ndarray, " texts"], Bool[np.ndarray, " texts"]]:
    """The label with most votes of each text (the first of equals), and whether it is tied."""
    most = votes.max(axis=1, keepdims=True)
    return votes.argmax(axis=1), (votes == most).sum(axis=1) > 1


def predicted_majority(rows: CodedRows) -> Int[np.ndarray, " texts"]:
    """The label predicted most often for each text; of equals that of the higher probability."""
    votes = rows.votes(rows.predicted)
    # Rounded: the order in which rows are summed must not decide between equal labels.
    belief = np.round(rows.summed_probabilities(), 9)
    return np.where(votes == votes.max(axis=1, keepdims=True), belief, -1.0).argmax(axis=1)
