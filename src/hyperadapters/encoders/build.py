"""From the declaration of a condition to its encoder."""

from dataclasses import replace

from hyperadapters.conditions import Attributes, Condition, Instance, Lookup, Vector
from hyperadapters.encoders.attributes import AttributesEncoder
from hyperadapters.encoders.base import ConditionEncoder
from hyperadapters.encoders.lookup import LookupEncoder
from hyperadapters.encoders.plain import PlainEncoder
from hyperadapters.encoders.standardised import StandardisedEncoder
from hyperadapters.encoders.start import Start
from hyperadapters.encoders.vector import VectorEncoder
from hyperadapters.errors import ConfigError


def build_encoder(
    name: str,
    condition: Condition,
    *,
    default_width: int,
    start: Start,
    parts: int = 2,
    centred: bool = True,
    instance_width: int | None = None,
) -> ConditionEncoder:
    """The encoder of a condition.

    Args:
        name: Keyword of the condition.
        condition: Its declaration.
        default_width: Width of the vector where the declaration has none.
        start: What vectors are before the first step.
        parts: See `zero_dims`.
        centred: Whether zero is the population for what reads the vectors. If not, there is
            nothing to cancel, and vectors start as with ``"hyperfan-in"``.
        instance_width: Width of the backbone's hidden states, for `Instance`.

    Raises:
        ConfigError: The width of the backbone's hidden states is needed and not known.
    """
    if not centred:
        start = "hyperfan-in"
    if isinstance(condition, Lookup):
        return LookupEncoder(
            condition.size,
            condition.width or default_width,
            start=start,
            parts=parts,
            centred=centred,
            unknown=condition.unknown,
            own_population=condition.own_population,
            name=name,
        )
    if isinstance(condition, Attributes):
        width = condition.width or default_width
        return AttributesEncoder(condition.sizes, width, start=start, parts=parts, name=name)
    if isinstance(condition, Instance) and condition.standardised:
        reader = build_encoder(
            name,
            replace(condition, standardised=False),
            default_width=default_width,
            start=start,
            parts=parts,
            centred=centred,
            instance_width=instance_width,
        )
        return StandardisedEncoder(reader, checked_width(name, instance_width))
    in_width = (
        condition.width if isinstance(condition, Vector) else checked_width(name, instance_width)
    )
    if condition.reading != "normalised":
        if centred:
            raise ConfigError(
                f"{name}: reading={condition.reading!r} is for hypernetwork='hyperdecoder' or "
                "'two-tower'; others start from a vector of zero"
            )
        plain = None if condition.reading == "none" else condition.encoded_width or in_width
        return PlainEncoder(in_width, plain, hidden_width=condition.hidden_width)
    return VectorEncoder(
        in_width,
        condition.encoded_width or default_width,
        hidden_width=condition.hidden_width,
        start=start,
        parts=parts,
        name=name,
    )


def checked_width(name: str, instance_width: int | None) -> int:
    """The width of the backbone's hidden states.

    Raises:
        ConfigError: It is not known.
    """
    if instance_width is None:
        raise ConfigError(f"{name}: Instance needs the width of the backbone's hidden states")
    return instance_width
