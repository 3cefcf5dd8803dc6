from dataclasses import replace

import pytest

from hyperadapters.conditions import Attributes, Lookup, Vector
from hyperadapters.errors import ConfigError
from hyperadapters.hypernetworks import GroupSpec, NetworkSpec

TWO = {"annotators": Lookup(5), "tasks": Lookup(3), "text": Vector(4)}


@pytest.fixture
def group(places) -> GroupSpec:
    return GroupSpec(places, conditions=("annotators",))


@pytest.fixture
def spec(group) -> NetworkSpec:
    return NetworkSpec(conditions=TWO, groups=[group], head_width=6, n_labels=3)


def test_what_can_be_built(spec, group):
    spec.check()
    replace(spec, groups=()).check()
    shared = {"bias_source": "none", "shift": False, "conditions": {}}
    learned = replace(group, source="learned", conditions=())
    replace(spec, groups=[learned], head_width=None, n_labels=None, **shared).check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conditions": {}}, "no conditions: name at least one"),
        ({"n_labels": None}, "bias_source='generated' needs a classification head"),
        (
            {"n_labels": None, "bias_source": "per-condition"},
            "bias_source='per-condition' needs a classification head",
        ),
        (
            {"conditions": {"annotators": Attributes({"age": 3})}, "bias_source": "per-condition"},
            "bias_source='per-condition' needs a Lookup among the conditions",
        ),
        (
            {"conditions": {"a": Attributes({"age": 3})}, "output_source": "per-condition"},
            "output_source='per-condition' needs a Lookup among the conditions",
        ),
        (
            {"head_width": None, "shift": False, "output_source": "per-condition"},
            "output_source='per-condition' needs a classification head",
        ),
        ({"head_width": None}, "shift=True needs a classification head"),
    ],
)
def test_networks_that_cannot_be_built(spec, changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(spec, **changes).check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conditions": ("people",)}, "a group adapts to people; declared: annotators, tasks, t"),
        ({"conditions": ()}, "a group adapts to no condition at all"),
        ({"conditions": (), "source": "learned", "gains": True}, "adapts to no condition at all"),
        (
            {"conditions": ("annotators", "tasks"), "source": "per-condition"},
            r"exactly one Lookup among the conditions of its group, got 2 \(annotators, tasks\)",
        ),
        ({"conditions": ("text",), "gains": True}, r"exactly one Lookup .*, got 0 \(none\)"),
    ],
)
def test_groups_that_cannot_be_built(spec, group, changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(spec, groups=[group, replace(group, **changes)]).check()


def test_which_layers_deviate(group):
    assert group.deviating == [True] * 6
    assert replace(group, deviating_layers=[1, 9]).deviating == [False] * 3 + [True] * 3
    message = r"no adapted layer is among deviating_layers \[7\]; adapted: \[0, 1\]"
    with pytest.raises(ConfigError, match=message):
        _ = replace(group, deviating_layers=[7]).deviating


@pytest.mark.parametrize(
    ("source", "gains", "adapts"),
    [
        ("generated", False, True),
        ("per-condition", False, True),
        ("learned", False, False),
        ("learned", True, True),
    ],
)
def test_which_groups_adapt(group, source, gains, adapts):
    assert replace(group, source=source, gains=gains).adapts is adapts


def test_conditions_are_encoded_where_a_vector_is_read(spec, group):
    assert spec.encoded == ["annotators", "tasks", "text"]  # the head reads all
    alone = replace(spec, bias_source="per-condition", shift=False)
    assert alone.encoded == ["annotators"]
    stored = replace(alone, groups=[replace(group, source="per-condition")])
    assert stored.encoded == []
    assert stored.needs_conditions
    shared = replace(alone, groups=[replace(group, source="learned")], bias_source="none")
    assert not shared.needs_conditions
    assert replace(shared, output_source="per-condition").needs_conditions


def test_the_published_network_is_the_one_that_is_not_centred(spec):
    kinds = {k: replace(spec, hypernetwork=k) for k in ("mlp", "basis", "chunked", "two-tower")}
    assert {k for k, s in kinds.items() if not s.centred} == {"two-tower"}
    assert {k: s.head_kind for k, s in kinds.items() if s.centred} == {
        k: k for k in ("mlp", "basis", "chunked")
    }
