"""What a jury says of texts: a pure function of its members' probabilities and weights."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from hyperadapters.labels import Decision, LabelSpace

LEVEL = 0.9
N_DRAWS = 1000


@dataclass(frozen=True)
class Verdicts:
    """What a jury says of some texts.

    Attributes:
        p: Weighted mean of the members' probabilities.
        verdict: Index of the label that this mean decides for.
        dissent: Weighted share of the members of whom another label is predicted.
        low: Lower ends of the interval of each mean.
        high: Upper ends.
        stable: Share of juries drawn anew from these members that come to the same verdict.
    """

    p: Float[np.ndarray, "texts labels"]
    verdict: Int[np.ndarray, " texts"]
    dissent: Float[np.ndarray, " texts"]
    low: Float[np.ndarray, "texts labels"]
    high: Float[np.ndarray, "texts labels"]
    stable: Float[np.ndarray, " texts"]


def verdicts_of(
    probabilities: Float[np.ndarray, "texts members labels"],
    weights: Float[np.ndarray, " members"],
    labels: LabelSpace,
    decision: Decision = "mode",
    seed: int = 0,
) -> Verdicts:
    """The verdicts, with 90 % intervals by the bootstrap over members.

    Args:
        probabilities: What is predicted of each member.
        weights: How much each of them counts; not all 0.
        labels: The labels.
        decision: How one label is chosen, see `LabelSpace.decide`.
        seed: Of the draws.
    """
    n_texts, n_members, n_labels = probabilities.shape
    share = weights / weights.sum()
    p = np.einsum("m,tml->tl", share, probabilities)
    verdict = labels.decide(p, decision)
    each = labels.decide(probabilities.reshape(-1, n_labels), decision).reshape(n_texts, n_members)
    dissent = (each != verdict[:, None]) @ share
    # Members are drawn with their weights, as often as there are members who count.
    drawn = np.random.default_rng(seed).multinomial(int((share > 0).sum()), share, N_DRAWS)
    drawn = drawn / drawn.sum(axis=1, keepdims=True)
    low, high, stable = np.empty_like(p), np.empty_like(p), np.empty(n_texts)
    for text in range(n_texts):
        means = drawn @ probabilities[text]
        tail = 50 * (1 - LEVEL)
        low[text], high[text] = np.percentile(means, [tail, 100 - tail], axis=0)
        stable[text] = (labels.decide(means, decision) == verdict[text]).mean()
    return Verdicts(p, verdict, np.clip(dissent, 0.0, 1.0), low, high, stable)
