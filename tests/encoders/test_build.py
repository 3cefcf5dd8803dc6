import pytest
import torch

from hyperadapters.conditions import Attributes, Instance, Lookup, Vector
from hyperadapters.encoders import (
    AttributesEncoder,
    ConditionEncoder,
    LookupEncoder,
    VectorEncoder,
    build_encoder,
    zero_dims,
)
from hyperadapters.errors import ConfigError

PEOPLE = {"gender": ("f", "m", "x"), "age": 5}


def build(condition, **options) -> ConditionEncoder:
    return build_encoder("who", condition, **{"default_width": 6, "start": "zero-change"} | options)


@pytest.mark.parametrize(
    ("condition", "kind", "width"),
    [
        (Lookup(3), LookupEncoder, 6),
        (Lookup(3, width=2), LookupEncoder, 2),
        (Attributes(PEOPLE), AttributesEncoder, 6),
        (Attributes(PEOPLE, width=2), AttributesEncoder, 2),
        (Vector(5), VectorEncoder, 6),
        (Vector(5, encoded_width=2), VectorEncoder, 2),
        (Instance(), VectorEncoder, 6),
        (Instance(encoded_width=2), VectorEncoder, 2),
    ],
)
def test_every_kind(condition, kind, width):
    encoder = build(condition, instance_width=9)
    assert type(encoder) is kind and encoder.width == width
    assert encoder.name == "who"
    assert encoder.population().shape == (1, width)


def test_what_the_declaration_says():
    lookup = build(Lookup(3, unknown="base"), centred=False)
    assert isinstance(lookup, LookupEncoder)
    assert lookup.unknown == "base" and not lookup.centred and lookup.vectors.shape == (3, 6)
    attributes = build(Attributes(PEOPLE))
    assert isinstance(attributes, AttributesEncoder)
    assert attributes.sizes == (5, 3)  # age comes before gender
    vector = build(Vector(5, hidden_width=7))
    assert isinstance(vector, VectorEncoder)
    assert vector.first.weight.shape == (7, 5)
    instance = build(Instance(hidden_width=7), instance_width=9)
    assert isinstance(instance, VectorEncoder)
    assert instance.first.weight.shape == (7, 9)


VALUES = [
    (Lookup(3), torch.tensor([0, 2])),
    (Attributes(PEOPLE), torch.tensor([[0, 2], [-1, 1]])),
    (Vector(5), torch.tensor([[0.0, 1, 2, 3, 5]])),
    (Instance(), torch.tensor([[0.0, 1, 2, 3, 4, 5, 6, 7, 9]])),
]


@pytest.mark.parametrize(("condition", "values"), VALUES)
@pytest.mark.parametrize("parts", [2, 3])
def test_the_start_is_handed_on(condition, values, parts):
    z = build(condition, parts=parts, instance_width=9)(values)
    zero = zero_dims(6, parts)
    assert (z[:, zero] == 0).all() and (z[:, ~zero] != 0).all()


@pytest.mark.parametrize(("condition", "values"), VALUES)
@pytest.mark.parametrize("start", ["zero-change", "lora"])
def test_without_a_centre_nothing_starts_at_zero(condition, values, start):
    z = build(condition, start=start, centred=False, instance_width=9)(values)
    assert (z != 0).all()


def test_instance_needs_the_width_of_the_backbone():
    with pytest.raises(ConfigError, match=r"^who: Instance needs the width of the backbone"):
        build(Instance())
