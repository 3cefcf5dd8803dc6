import pytest
import torch

from hyperadapters.adapters import Bottleneck, LoRA, Placement
from hyperadapters.conditions import Attributes, Lookup, Vector
from networks import CPU, built

BASES = {
    "lookup": (Lookup(5, unknown="base"), [3, -1, 0], 1),
    "attributes": (
        Attributes({"age": ("young", "old"), "land": ("CH", "AT")}, unknown="base"),
        [{"age": "old"}, {}, {"land": "CH"}],
        1,
    ),
    "vector": (
        Vector(2, unknown="base"),
        torch.tensor([[1.0, 2.0], [float("nan")] * 2, [0.5, 0.0]]),
        1,
    ),
}


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("form", [LoRA(3, 1.0), Bottleneck(3)])
@pytest.mark.parametrize("source", ["generated", "learned"])
def test_the_base_policy_leaves_rows_that_are_unknown_alone(sites, name, form, source):
    condition, given, unknown = BASES[name]
    places = [Placement(site, form) for site in sites]
    network = built(places, {"source": source}, conditions={"c": condition})
    weights = network(network.prepare({"c": given}, CPU))
    for site, place in enumerate(places):
        x = torch.randn(3, 4, place.site.in_width)
        correction = place.form.apply(x, weights.at(0, site))
        assert torch.equal(correction[unknown], torch.zeros(4, place.site.out_width))
        assert correction[[0, 2]].abs().min() > 0
        outgoing = ("b",) if isinstance(form, LoRA) else ("up", "up_bias")
        for tensor in (getattr(weights.at(0, site), n) for n in outgoing):
            assert torch.equal(tensor[unknown], torch.zeros_like(tensor[unknown]))
    for part in weights.head_per_row()[:3]:
        assert part[unknown].abs().max() == 0 and part[[0, 2]].abs().min() > 0


def test_the_base_policy_of_one_condition_silences_the_row_for_all(places):
    conditions = {"a": Lookup(5), "b": Lookup(3, unknown="base")}
    network = built(places, {"conditions": ("a",)}, conditions=conditions)
    weights = network({"a": torch.tensor([2, 2, -1]), "b": torch.tensor([1, -1, 1])})
    b = weights.at(0, 0).b
    assert b[1].abs().max() == 0 and b[[0, 2]].abs().amax(dim=(1, 2)).min() > 0


def test_with_two_base_policies_either_silences_the_row(places):
    conditions = {"a": Lookup(5, unknown="base"), "b": Lookup(3, unknown="base")}
    network = built(places, conditions=conditions)
    weights = network({"a": torch.tensor([2, 2, -1]), "b": torch.tensor([1, -1, 1])})
    assert weights.at(0, 0).b.abs().amax(dim=(1, 2)).ne(0).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        (Vector(2, unknown="base"), torch.tensor([[1.0, 2.0], [float("nan")] * 2])),
        (Attributes({"age": 2}, unknown="base"), torch.tensor([[1], [-1]])),
        (Lookup(3, unknown="base"), torch.tensor([0, -1])),
    ],
)
def test_the_base_policy_holds_where_nothing_reads_a_vector(places, condition, value):
    network = built(
        *(places, {"source": "per-condition", "conditions": ("i",)}),
        conditions={"c": condition, "i": Lookup(4)},
        **{"shift": False, "taste_rank": 0, "bias_source": "none"},
    )
    assert len(network.encoders) == 0
    b = network({"c": value, "i": torch.tensor([2, 2])}).at(0, 0).b
    assert b[1].abs().max() == 0 and b[0].abs().max() > 0
