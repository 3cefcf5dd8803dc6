r"""A head for labels on a scale: one score, and thresholds that it has to pass.

The proportional-odds model (McCullagh 1980, https://doi.org/10.1111/j.2517-6161.1980.tb01109.x):

    P(label > k) = sigmoid(gain · slope · (score - threshold_k)),   threshold_1 < threshold_2 < ...

With gain and slope 1 and a network for the score it is what CORAL (Cao, Mirjalili & Raschka 2020,
https://arxiv.org/abs/1901.07884) is made of; they train the K - 1 binary decisions, here the loss
is the negative log-likelihood of the label itself. With a slope of its own for each row it is
McCullagh's model of location and scale: a high slope answers resolutely, a low one broadly.

The head gives log-probabilities in the place of logits: their softmax is the probabilities, and
the cross-entropy of them is the exact negative log-likelihood, so that whatever works with logits
works with them. What is added for an annotator goes to the score (and the logarithm of the slope),
never to single thresholds: a person is stricter or milder, and more or less resolute, and the order
of the labels holds for everyone.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from hyperadapters.errors import ConfigError

HEADS = ("softmax", "cumulative", "cumulative-scale")
"""Kinds of heads: a logit for each label; a score; a score and a slope."""

HEAD_NAMES = ("classifier", "score", "classification_head")
"""Names that Transformers uses for the head of a classifier."""

MIN_GAP = 1e-4
"""Two thresholds are at least so far apart, so that no label has a probability of zero."""

MAX_LOG_SLOPE = 2.0
"""The slope stays between exp(-2) and exp(2)."""


def latent_width(head: str, n_labels: int) -> int:
    """How many numbers the last linear layer of a head gives.

    Raises:
        ConfigError: The head is unknown, or made for more labels.
    """
    if head not in HEADS:
        raise ConfigError(f"head must be one of {', '.join(HEADS)}, got {head!r}")
    if head == "softmax":
        return n_labels
    if n_labels < 3:
        raise ConfigError(f"head {head} needs at least 3 labels on a scale, got {n_labels}")
    return 1 if head == "cumulative" else 2


class CumulativeLinks(nn.Module):
    """From a score to log-probabilities of labels on a scale.

    The first threshold is a parameter of its own, and each further one lies a gap above the one
    before, ``MIN_GAP + softplus(raw)``, so that their order always holds. The gain, a parameter in
    logarithms, stretches score and thresholds together. It is redundant, and makes training faster:
    thresholds that fit how frequent labels are (the start) lie too near to each other as soon as
    texts and people are told apart, and would have to move one by one.

    Args:
        n_labels: Number of labels, at least 3.
    """

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        self.n_labels = n_labels
        self.first = nn.Parameter(torch.empty(1))
        self.raw_gaps = nn.Parameter(torch.empty(n_labels - 2))
        self.log_gain = nn.Parameter(torch.empty(1))
        self.start_at(torch.full((n_labels,), 1.0 / n_labels))

    @property
    def gaps(self) -> Float[Tensor, " gaps"]:
        """How far each threshold but the first lies above the one before."""
        return MIN_GAP + softplus(self.raw_gaps)

    @property
    def thresholds(self) -> Float[Tensor, " thresholds"]:
        """The score at which a label is as likely passed as not, in ascending order."""
        return torch.cat([self.first, self.first + self.gaps.cumsum(0)])

    @torch.no_grad()
    def start_at(self, shares: Float[Tensor, " n_labels"]) -> None:
        """Set the thresholds such that a score of zero gives these probabilities.

        Args:
            shares: Share of each label, all above zero, sum 1.
        """
        cuts = shares.double().cumsum(0)[:-1].logit()
        # The inverse of softplus: log(exp(x) - 1), without overflow.
        wanted = (cuts.diff() - MIN_GAP).clamp(min=1e-6)
        raw = wanted + torch.log(-torch.expm1(-wanted))
        self.first.copy_(cuts[:1].to(self.first))
        self.raw_gaps.copy_(raw.to(self.raw_gaps))
        self.log_gain.zero_()

    def forward(
        self, latent: Float[Tensor, "*rows latent"]
    ) -> Float[Tensor, "*rows {self.n_labels}"]:
        r"""Log-probabilities of the labels.

        With a and b the arguments of the sigmoid σ for P(label < k) and P(label ≤ k), in logarithms

            P(label = k) = σ(b) - σ(a) = σ(b) σ(-a) (1 - exp(a - b)),

        which loses no digits and does not underflow, however far away the score is.

        Args:
            latent: The score, and perhaps the logarithm of the slope (near zero; it is bent
                softly to stay within ±`MAX_LOG_SLOPE`).
        """
        if latent.dtype in (torch.float16, torch.bfloat16):
            latent = latent.float()
        passed = self.thresholds.to(latent) - latent[..., :1]
        gaps = self.gaps.to(latent)
        gain = self.log_gain.exp().to(latent)
        passed, gaps = gain * passed, gain * gaps
        if latent.shape[-1] > 1:
            slope = torch.exp(MAX_LOG_SLOPE * torch.tanh(latent[..., 1:2] / MAX_LOG_SLOPE))
            passed, gaps = slope * passed, slope * gaps
        below, above = logsigmoid(passed), logsigmoid(-passed)
        between = below[..., 1:] + above[..., :-1] + torch.log(-torch.expm1(-gaps))
        return torch.cat([below[..., :1], between, above[..., -1:]], dim=-1)


class CumulativeHead(nn.Module):
    """A head of Transformers that gives the score, and the links behind it.

    Args:
        latent: The head; its last linear layer gives one number or two.
        n_labels: Number of labels.
    """

    def __init__(self, latent: nn.Module, n_labels: int) -> None:
        super().__init__()
        self.latent = latent
        self.links = CumulativeLinks(n_labels)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Log-probabilities in the place of the logits, for what the head reads."""
        return self.links(self.latent(*args, **kwargs))


def with_links(model: Any, n_labels: int) -> Any:
    """Put links behind the head of a classifier that gives one number or two.

    Args:
        model: A sequence classifier of Transformers; it is changed.
        n_labels: Number of labels.

    Returns:
        The model, which now gives log-probabilities of `n_labels` labels.

    Raises:
        ConfigError: It has no head under a name that is known.
    """
    name = next((n for n in HEAD_NAMES if isinstance(getattr(model, n, None), nn.Module)), None)
    if name is None:
        raise ConfigError(
            f"{type(model).__name__} has no head named {', '.join(HEAD_NAMES)} that a cumulative "
            "head could be built on; use head=softmax"
        )
    setattr(model, name, CumulativeHead(getattr(model, name), n_labels))
    model.num_labels = model.config.num_labels = n_labels
    return model


def start_at_shares(model: nn.Module, counts: Any) -> None:
    """Let all links of a model start at how frequent the labels are.

    Args:
        model: The model; without links nothing happens.
        counts: Number of rows of each label, a sequence; one more of each is added.
    """
    smoothed = torch.as_tensor(counts, dtype=torch.float64) + 1
    for module in model.modules():
        if isinstance(module, CumulativeLinks):
            module.start_at(smoothed / smoothed.sum())
