"""A condition that is the input itself, as the backbone sees it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from hyperadapters.conditions.fields import (
    Reading,
    UnknownPolicy,
    check_reading,
    optional_positive,
    whole_number,
)
from hyperadapters.errors import ConfigError

Pool = Literal["mean", "first", "last", "max"]
InstanceSource = Literal["backbone", "first-pass", "encoder"]


@dataclass(frozen=True)
class Instance:
    """The backbone's own hidden states, pooled over the tokens that the mask keeps.

    The input is never missing, so there is nothing to choose for `unknown`.

    Attributes:
        pool: How the states of a row become one vector: their mean, their maximum, or the state of
            the first or the last token.
        layer: Which hidden states: 0 are the embeddings, -1 the output of the last layer.
        source: Whose states. ``"backbone"``: those of a pass without adapters and without gradient.
            ``"first-pass"``: those of a first pass that is trained too, with the adapters that do
            not depend on it (see `Group.first_pass`); the second pass is adapted by what was read.
            ``"encoder"``: what the encoder gives in this very call, adapted and trained as it is;
            for groups of the decoder, which cost no further pass (Ivison & Peters 2022,
            https://arxiv.org/abs/2203.08304). The last two read the last layer.
        encoded_width: Width of what a small network makes of it; ``None`` takes the
            configuration's `condition_width`.
        hidden_width: Width of the small network's hidden layer; ``None`` takes that of its output.
        reading: What the small network is, see `Reading`.
        standardised: Whether every dimension of the pooled states is brought to mean 0 and variance
            1 first, by statistics that `hyperadapters.calibrate` takes from a sample of inputs.
    """

    pool: Pool = "mean"
    layer: int = -1
    encoded_width: int | None = None
    hidden_width: int | None = None
    source: InstanceSource = "backbone"
    reading: Reading = "normalised"
    standardised: bool = False

    def __post_init__(self) -> None:
        if self.pool not in get_args(Pool):
            raise ConfigError(
                f"Instance's pool must be 'mean', 'first', 'last' or 'max', got {self.pool!r}"
            )
        object.__setattr__(self, "layer", whole_number("Instance's layer", self.layer))
        for field in ("encoded_width", "hidden_width"):
            value = optional_positive("Instance", field, getattr(self, field))
            object.__setattr__(self, field, value)
        check_reading("Instance", self.reading, self.encoded_width, self.hidden_width)
        if self.source not in get_args(InstanceSource):
            raise ConfigError(
                "Instance's source must be 'backbone', 'first-pass' or 'encoder', got "
                f"{self.source!r}"
            )
        if self.source != "backbone" and self.layer != -1:
            raise ConfigError(
                f"Instance with source={self.source!r} reads the last layer, got layer={self.layer}"
            )

    @property
    def unknown(self) -> UnknownPolicy:
        """``"error"``: an input that is not there is a mistake."""
        return "error"

    @property
    def states(self) -> tuple[InstanceSource, int, Pool]:
        """What is read, whatever is made of it: whose states, of which layer, pooled how."""
        return self.source, self.layer, self.pool

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form; the inverse of `condition_from_dict`."""
        return {"kind": "instance", **asdict(self)}
