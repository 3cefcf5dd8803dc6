r"""How sure a classifier may be: its logits are divided by one number, which is found on dev.

Temperature scaling (Guo et al. 2017, https://arxiv.org/abs/1706.04599) leaves the order of the
labels as it is and changes how probable they are. The temperature T makes smallest

    Σ_i -log p_i(T) + (log T / s)² / 2,          p_i(T) = softmax(logits_i / T)[label_i],

in which the second term, a normal prior of log T around 0 with standard deviation s = 1/2, decides
only where there is next to no dev data: a handful of rows that are all right would ask for T = 0.

Of labels on a scale with a cumulative head it is the score and its thresholds that are divided, so
that the scale holds: P(label ≤ k) = sigmoid(logit_k / T). There another label may become the most
probable one.
"""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, logit

from hyperadapters.methods import AnnotatorClassifier, Examples
from hyperadapters.tuner.temperature import divide_logits

SPREAD = 0.5
"""Standard deviation of the logarithm of the temperature before anything is known."""

MOST = 10.0
"""Temperatures lie between 1 / MOST and MOST."""

ALMOST_ONE = float(np.nextafter(1, 0))
MIN_PROBABILITY = 1e-30
"""Smaller probabilities are raised to this before a logarithm; float32 still tells it from 0."""


def set_temperature(classifier: AnnotatorClassifier, dev: Examples) -> float:
    """Divide the logits of a classifier by the temperature that suits some rows, for good.

    It is written into the weights of the head, so that whatever is made of the model later
    (predictions, newcomers, exports) has it.

    It is found from the rows by people whom the classifier knows, if there are any.

    Args:
        classifier: The classifier; it is changed.
        dev: Rows that it was not trained on; those without a label do not count.

    Returns:
        The temperature; above 1 where the classifier was too sure.

    Raises:
        ConfigError: The model has no head of a known name.
    """
    with classifier.states_of(dev):
        probabilities = classifier.probabilities(dev)
    counts = counted(dev.annotators >= 0, dev.labels >= 0)
    cumulative = classifier.settings.head != "softmax"
    found = temperature_of(probabilities[counts], dev.labels[counts], cumulative=cumulative)
    divide_logits(classifier.model, found)
    return found


def counted(
    known: Bool[np.ndarray, " rows"], labelled: Bool[np.ndarray, " rows"]
) -> Bool[np.ndarray, " rows"]:
    """The rows that a temperature is found from: by known people, or by all where none is.

    What strangers are answered with may be found later than the temperature.

    Args:
        known: Whether the model knows who is asked.
        labelled: Whether there is a label.
    """
    both = known & labelled
    return both if both.any() else labelled


def temperature_of(
    probabilities: Float[np.ndarray, "rows labels"],
    labels: Int[np.ndarray, " rows"],
    *,
    cumulative: bool = False,
) -> float:
    """The temperature that suits some rows, see the head of this module.

    Args:
        probabilities: Of every label.
        labels: The labels that were given, as columns of `probabilities`.
        cumulative: Whether they are those of a cumulative head.
    """
    rows = np.arange(len(labels))

    def cost(log_temperature: float) -> float:
        p = at_temperature(probabilities, float(np.exp(log_temperature)), cumulative=cumulative)
        loss = -np.log(np.clip(p[rows, labels], MIN_PROBABILITY, 1)).sum()
        return float(loss + (log_temperature / SPREAD) ** 2 / 2)

    ends = (-np.log(MOST), np.log(MOST))
    found = minimize_scalar(cost, bounds=ends, method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def at_temperature(
    probabilities: Float[np.ndarray, "rows labels"],
    temperature: float,
    *,
    cumulative: bool = False,
) -> Float[np.ndarray, "rows labels"]:
    """What the probabilities become when their logits are divided by a temperature.

    Args:
        probabilities: Of every label.
        temperature: The temperature.
        cumulative: Whether they are those of a cumulative head.
    """
    if not cumulative:
        logs = np.log(np.clip(probabilities, MIN_PROBABILITY, 1))
        return np.exp(log_softmax(logs / temperature, axis=1))
    below = np.clip(np.cumsum(probabilities, axis=1)[:, :-1], MIN_PROBABILITY, ALMOST_ONE)
    passed = expit(logit(below) / temperature)
    edges = np.pad(passed, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1)))
    return np.diff(edges, axis=1)
