"""What all who were asked would say of a text, quickly; as `tables.aggregates` has it."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hyperadapters.labels import LabelSpace

DIGITS = 6


def summaries_of(
    p: Float[np.ndarray, "texts people labels"],
    decided: Int[np.ndarray, "texts people"],
    labels: LabelSpace,
) -> list[dict[str, Any]]:
    """One summary for each text.

    Args:
        p: Probabilities.
        decided: Which label is predicted of each person.
        labels: The labels.
    """
    means = p.mean(axis=1)
    shares = (decided[:, :, None] == np.arange(p.shape[2])).mean(axis=1)
    # Of equal shares that of the higher mean probability, then the first.
    first = np.lexsort((-means, -shares), axis=1)[:, 0]
    names = labels.decode(first).tolist()
    disagreement = 1.0 - (shares**2).sum(axis=1)
    return [
        {
            "n_annotators": p.shape[1],
            "p": means[text].round(DIGITS).tolist(),
            "share": shares[text].round(DIGITS).tolist(),
            "predicted": names[text],
            "disagreement": round(float(disagreement[text]), DIGITS),
        }
        for text in range(len(p))
    ]
