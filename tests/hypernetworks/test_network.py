from dataclasses import replace

import pytest
import torch

from hyperadapters.adapters import Bottleneck, LoRA, Placement
from hyperadapters.conditions import Attributes, Lookup, Vector
from hyperadapters.errors import ConditionError
from hyperadapters.hypernetworks import AdapterNetwork, GroupSpec, build_network
from networks import CPU, KINDS, SPEC, assert_row, built, ids, randomised, watch


@pytest.mark.parametrize("kind", KINDS)
def test_rows_have_the_weights_of_their_condition(places, kind):
    network = built(places[:2], hypernetwork=kind)
    together = network(ids(3, -1, 0, 3))
    for row, index in enumerate((3, -1, 0, 3)):
        assert_row(together, row, network(ids(index)))


@pytest.mark.parametrize(
    "group", [{"source": "per-condition"}, {"source": "learned", "gains": True}, {"gains": True}]
)
@pytest.mark.parametrize("form", [LoRA(3, 1.0), Bottleneck(3)])
def test_so_they_have_from_the_other_sources(sites, group, form):
    network = built([Placement(site, form) for site in sites], group)
    together = network(ids(3, -1, 0, 3))
    for row, index in enumerate((3, -1, 0, 3)):
        assert_row(together, row, network(ids(index)), sites=6)


def test_weights_are_written_once_per_distinct_condition(places):
    network = built(places)
    seen = watch(network)
    weights = network(ids(3, -1, 0, 3, 3, 0, -1, -1))
    assert seen == [{"source": 0, "z": 3, "annotator_ids": [-1, 0, 3]}]
    assert weights.n_rows == 8 and weights.groups[0].sites[0].b.shape[0] == 3


def test_several_conditions_are_distinct_together(places):
    network = built(places, conditions={"a_ids": Lookup(5, width=2), "b_ids": Lookup(3)})
    seen = watch(network)
    a, b = torch.tensor([1, 1, 0, 1]), torch.tensor([2, 0, 2, 2])
    weights = network({"b_ids": b, "a_ids": a})
    assert seen == [{"source": 0, "z": 3, "a_ids": [0, 1, 1], "b_ids": [2, 0, 2]}]
    assert_row(weights, 1, network({"a_ids": a[1:2], "b_ids": b[1:2]}))


@pytest.fixture
def two_groups(places) -> AdapterNetwork:
    """Tasks change the first layer, annotators the second, which has a bottleneck."""
    bottlenecks = [Placement(place.site, Bottleneck(3, "tanh")) for place in places[3:]]
    groups = [
        GroupSpec(places[:3], conditions=("task_ids",)),
        GroupSpec(bottlenecks, conditions=("annotator_ids",), gains=True),
    ]
    conditions = {"annotator_ids": Lookup(5), "task_ids": Lookup(3)}
    return randomised(build_network(replace(SPEC, conditions=conditions, groups=groups)))


def test_groups_adapt_to_conditions_of_their_own(two_groups):
    seen = watch(two_groups)
    values = {**ids(4, 0, 4, 4), "task_ids": torch.tensor([1, 1, 2, 1])}
    weights = two_groups(values)
    assert seen == [
        {"source": 0, "z": 2, "task_ids": [1, 2]},
        {"source": 1, "z": 2, "annotator_ids": [0, 4]},
    ]
    assert weights.head.bias is not None and weights.head.bias.shape[0] == 3  # of both together
    for row in range(4):
        alone = {name: value[row : row + 1] for name, value in values.items()}
        assert_row(weights, row, two_groups(alone), groups=2, sites=3)


def test_a_task_does_not_touch_the_group_of_the_annotator(two_groups):
    one = two_groups({**ids(4), "task_ids": torch.tensor([1])})
    other = two_groups({**ids(4), "task_ids": torch.tensor([2])})
    assert not torch.equal(one.at(0, 0).b, other.at(0, 0).b)
    assert torch.equal(one.at(1, 0).up, other.at(1, 0).up)


def test_learned_and_generated_groups_side_by_side(places):
    groups = [
        GroupSpec(places[:3], "learned"),
        GroupSpec(places[3:], conditions=("annotator_ids",)),
    ]
    network = randomised(build_network(replace(SPEC, groups=groups)))
    weights = network(ids(1, 2, 1))
    assert weights.at(0, 0).b.shape[0] == 1 and weights.at(1, 0).b.shape[0] == 3
    assert torch.equal(weights.at(0, 0).b[0], network.sources[0].source.sites[0]["b"])


def test_one_condition_beside_one_per_row(two_groups):
    prepared = two_groups.prepare({"annotator_ids": [4, 0, 4], "task_ids": 2}, CPU)
    assert {n: v.tolist() for n, v in prepared.items()} == {
        "annotator_ids": [4, 0, 4],
        "task_ids": [2, 2, 2],
    }
    weights = two_groups(prepared)
    assert weights.n_rows == 3
    assert_row(weights, 1, two_groups({**ids(0), "task_ids": torch.tensor([2])}), 2, 3)


def test_one_condition_for_a_batch_of_any_length(two_groups):
    prepared = two_groups.prepare({"annotator_ids": 4, "task_ids": [2]}, CPU)
    assert two_groups(prepared).n_rows is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "missing condition annotator_ids, task_ids: this model adapts to annotator_ids, task"),
        ({"annotator_ids": 1, "task_id": 1}, "missing condition task_ids"),
        ({"annotator_ids": [5], "task_ids": 1}, "annotator_ids: got index 5; wanted 0 to 4, or -1"),
        ({"annotator_ids": [1, 2], "task_ids": [1, 1, 1]}, "differ in length: .*: 2, .*: 3"),
    ],
)
def test_conditions_that_do_not_do(two_groups, given, message):
    with pytest.raises(ConditionError, match=message):
        two_groups.prepare(given, CPU)


def test_unprepared_conditions_that_do_not_do(two_groups):
    with pytest.raises(ConditionError, match="missing condition task_ids"):
        two_groups(ids(1))
    with pytest.raises(ConditionError, match=r"differ in length: .*: 2, .*: 1"):
        two_groups({**ids(1, 2), "task_ids": torch.tensor([1])})


@pytest.mark.parametrize("combine", ["concat", "sum", "gate"])
def test_the_order_of_keywords_does_not_matter(places, combine):
    network = built(places, conditions={"a": Lookup(5), "b": Lookup(3)}, combine=combine)
    a, b = torch.tensor([1, 4]), torch.tensor([0, 2])
    one, other = network({"a": a, "b": b}), network({"b": b, "a": a})
    for row in range(2):
        assert torch.equal(one.at(0, 2).b[row], other.at(0, 2).b[row])
        assert torch.equal(one.head_per_row().bias[row], other.head_per_row().bias[row])


@pytest.mark.parametrize("combine", ["concat", "sum", "gate"])
def test_the_vector_that_is_read_is_the_combined_one(places, combine):
    network = built(places, conditions={"a": Lookup(5), "b": Lookup(3)}, combine=combine)
    a, b = torch.tensor([1, 4]), torch.tensor([0, 2])
    vectors = [network.encoders["a"](a), network.encoders["b"](b)]
    z = network.combiners["a+b"](vectors)
    torch.testing.assert_close(network({"a": a, "b": b}).head_per_row().bias, network.head(z).bias)
    wanted = network.sources[0].source(z)[2].b
    torch.testing.assert_close(network({"a": a, "b": b}).at(0, 2).b, wanted)


def test_conditions_of_all_kinds_together(places):
    people = Attributes({"age": ("young", "old"), "land": 4})
    network = built(places, conditions={"p": people, "v": Vector(7), "i": Lookup(3)})
    given = {
        "p": [{"age": "old", "land": "CH"}, {"age": "young"}, {}],
        "v": torch.randn(3, 7),
        "i": [0, -1, 2],
    }
    together = network(network.prepare(given, CPU))
    for row in range(3):
        alone = {"p": given["p"][row], "v": given["v"][row], "i": given["i"][row]}
        assert_row(together, row, network(network.prepare(alone, CPU)))


def test_people_are_distinct_by_all_their_attributes(places):
    network = built(places, conditions={"p": Attributes({"age": 2, "land": 4})})
    seen = watch(network)
    network({"p": torch.tensor([[0, 1], [0, 2], [0, 1], [-1, -1]])})
    assert seen == [{"source": 0, "z": 3, "p": [[-1, -1], [0, 1], [0, 2]]}]


def test_a_mixture_is_answered_from_the_mean_vector(places):
    network = built(places)
    blend = network.prepare({"annotator_ids": {0: 0.25, 3: 0.75}}, CPU)
    vectors = network.encoders["annotator_ids"].vectors
    z = (0.25 * vectors[0] + 0.75 * vectors[3]).unsqueeze(0)
    torch.testing.assert_close(network(blend).at(0, 0).b, network.sources[0].source(z)[0].b)


@pytest.mark.parametrize("kind", ["mlp", "basis", "chunked"])
def test_nobody_has_the_shared_adapter(places, kind):
    network = built(places, hypernetwork=kind)
    weights = network(ids(2, -1))
    for site, common in enumerate(network.sources[0].source.shared(torch.zeros(1, 0))):
        assert torch.equal(weights.at(0, site).b[1], common.b[0])
        assert not torch.equal(weights.at(0, site).b[0], common.b[0])
    assert all(part[1].abs().max() == 0 for part in weights.head_per_row()[:3])


def test_layers_that_deviate(places):
    network = built(places, {"deviating_layers": [1]})
    leading = [weights.b.shape[0] for weights in network(ids(0, 1)).groups[0].sites]
    assert leading == [1, 1, 1, 2, 2, 2]
