import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from accelerate import init_empty_weights

from hyperadapters.adapters import Bottleneck, LoRA, Placement
from hyperadapters.conditions import Attributes, Lookup, Vector
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.hypernetworks import AdapterNetwork, GroupSpec, NetworkSpec, build_network

CPU = torch.device("cpu")
KINDS = ["mlp", "basis", "chunked", "two-tower"]
SPEC = NetworkSpec(
    conditions={"annotator_ids": Lookup(5)},
    condition_width=4,
    site_width=3,
    hidden_width=6,
    n_basis=4,
    chunk_width=4,
    taste_rank=2,
    head_width=6,
    n_labels=3,
)


def randomised(network: AdapterNetwork) -> AdapterNetwork:
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network.eval()


def built(places, group=None, **changes) -> AdapterNetwork:
    """A network of one group, with numbers of all kinds in it."""
    conditions = changes.get("conditions", SPEC.conditions)
    options = {"conditions": tuple(conditions), **(group or {})}
    return randomised(
        build_network(replace(SPEC, groups=[GroupSpec(places, **options)], **changes))
    )


def ids(*indices: int) -> dict[str, torch.Tensor]:
    return {"annotator_ids": torch.tensor(indices)}


def assert_row(together, row, alone, groups=1, sites=2) -> None:
    """A row of a batch is what it is alone."""
    for group in range(groups):
        for site in range(sites):
            pairs = zip(together.at(group, site), alone.at(group, site), strict=True)
            for many, one in pairs:
                assert (many is None) == (one is None)
                if many is not None:
                    torch.testing.assert_close(many[row if len(many) > 1 else 0], one[0])
    for many, one in zip(together.head_per_row()[:3], alone.head_per_row()[:3], strict=True):
        assert (many is None) == (one is None)
        if many is not None:
            torch.testing.assert_close(many[row], one[0])


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


def watch(network: AdapterNetwork) -> list[dict[str, list]]:
    """Which values each source is called with."""
    seen: list[dict[str, list]] = []
    for number, source in enumerate(network.sources):
        source.register_forward_pre_hook(
            lambda _, args, number=number: seen.append(
                {"source": number, "z": len(args[0]), **{n: v.tolist() for n, v in args[1].items()}}
            )
        )
    return seen


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


def test_stored_biases(places):
    network = built(
        places, {"source": "learned"}, bias_source="per-condition", shift=False, taste_rank=0
    )
    weights = network(ids(4, -1, 4))
    bias = weights.head_per_row().bias
    assert bias is not None
    assert torch.equal(bias[0], network.biases["annotator_ids"].vectors[4])
    assert bias[1].abs().max() == 0
    assert len(network.encoders) == 0 and network.head is None
    assert weights.at(0, 0).b.shape[0] == 1


def test_stored_biases_of_several_conditions_are_added(places):
    network = built(
        *(places, {"source": "learned"}),
        conditions={"a": Lookup(5), "b": Lookup(3)},
        **{"bias_source": "per-condition", "shift": False, "taste_rank": 0},
    )
    bias = network({"a": torch.tensor([4, 0]), "b": torch.tensor([1, -1])}).head_per_row().bias
    of_a, of_b = network.biases["a"].vectors, network.biases["b"].vectors
    torch.testing.assert_close(bias, torch.stack([of_a[4] + of_b[1], of_a[0]]))


def test_text_only_needs_no_condition(places):
    network = built(
        *(places, {"source": "learned"}),
        **{"bias_source": "none", "shift": False, "taste_rank": 0, "conditions": {}},
    )
    assert network.prepare({}, CPU) == {}
    weights = network({})
    assert weights.n_rows is None and not any(part is not None for part in weights.head)
    assert len(network.encoders) == 0


def vectors_of(network: AdapterNetwork, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the first source reads."""
    seen: list[torch.Tensor] = []
    hook = network.sources[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    network(values)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize("kind", ["mlp", "two-tower"])
def test_condition_dropout_answers_from_the_population(places, kind):
    network = built(places[:2], hypernetwork=kind, condition_dropout=0.9999)
    everyone = {"annotator_ids": torch.arange(5)}
    table = network.encoders["annotator_ids"].vectors
    assert torch.equal(vectors_of(network, everyone), table)
    nobody = vectors_of(network, ids(-1)).expand(5, -1)
    torch.testing.assert_close(vectors_of(network.train(), everyone), nobody)


def test_condition_dropout_has_the_stated_probability(places):
    conditions = {"annotator_ids": Lookup(4000)}
    network = built(places, condition_dropout=0.25, conditions=conditions)
    torch.manual_seed(0)
    z = vectors_of(network.train(), {"annotator_ids": torch.arange(4000)})
    assert (z == 0).all(dim=1).float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_condition_noise_in_training_only(places):
    conditions = {"annotator_ids": Lookup(1000)}
    network = built(places, condition_noise=0.5, conditions=conditions)
    everyone = {"annotator_ids": torch.arange(1000)}
    known = vectors_of(network, everyone)
    torch.manual_seed(0)
    noise = vectors_of(network.train(), everyone) - known
    assert noise.std().item() == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("combine", ["concat", "sum", "gate"])
def test_nobody_in_particular_has_no_noise(places, combine):
    network = built(
        *(places,),
        **{"condition_noise": 0.5, "combine": combine},
        conditions={"a": Lookup(5), "b": Lookup(3)},
    ).train()
    # Distinct combinations are sorted: (-1, -1), (-1, 1), (2, -1).
    z = vectors_of(network, {"a": torch.tensor([-1, -1, 2]), "b": torch.tensor([-1, 1, -1])})
    assert z[0].abs().max() == 0
    assert z[1:].abs().amax(dim=1).min() > 0
    dropped = built(places, condition_noise=0.5, condition_dropout=0.9999).train()
    assert vectors_of(dropped, ids(0, 3)).abs().max() == 0


def test_layers_that_deviate(places):
    network = built(places, {"deviating_layers": [1]})
    leading = [weights.b.shape[0] for weights in network(ids(0, 1)).groups[0].sites]
    assert leading == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("group", "changes", "message"),
    [
        ({}, {"conditions": {}}, "no conditions: name at least one"),
        ({"deviating_layers": [7]}, {}, r"no adapted layer is among deviating_layers \[7\]"),
        ({}, {"hypernetwork": "two-tower"}, "sites of one shape, got 6→6 .*, 6→8"),
        (
            {},
            {"combine": "sum", "conditions": {"a": Lookup(2, width=3), "b": Lookup(2)}},
            "needs condition vectors of one width",
        ),
    ],
)
def test_specifications_that_cannot_be_built(places, group, changes, message):
    with pytest.raises(ConfigError, match=message):
        built(places, group, **changes)


def two_conditions(places, kind, combine) -> NetworkSpec:
    groups = [
        GroupSpec(places[:2], conditions=("a", "v"), gains=True),
        GroupSpec(places[2:], "per-condition", conditions=("a",)),
    ]
    conditions = {"a": Lookup(5), "v": Vector(3)}
    return replace(SPEC, conditions=conditions, groups=groups, hypernetwork=kind, combine=combine)


@pytest.mark.parametrize("context", [lambda: torch.device("meta"), init_empty_weights])
@pytest.mark.parametrize("combine", ["concat", "sum", "gate"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_can_be_built_without_memory(places, kind, combine, context):
    spec = two_conditions(places, kind, combine)
    with context():
        network = build_network(spec)
    assert all(parameter.is_meta for parameter in network.parameters())
    assert not list(network.buffers())
    real = randomised(build_network(spec))
    network.load_state_dict(real.state_dict(), assign=True)
    values = {"a": torch.tensor([1, 4]), "v": torch.randn(2, 3)}
    one, other = network.eval()(values), real(values)
    assert torch.equal(one.at(0, 1).b, other.at(0, 1).b)
    assert torch.equal(one.head_per_row().bias, other.head_per_row().bias)


# In a process of its own: the type checks of the tests cannot be traced.
COMPILED = """
from dataclasses import replace
import torch
from hyperadapters.adapters import LoRA, Placement
from hyperadapters.conditions import Lookup, Vector
from hyperadapters.hypernetworks import GroupSpec, NetworkSpec, build_network
from hyperadapters.sites import Site

places = [Placement(Site(f"{n}.query", 6, 6), LoRA(3, 1.0)) for n in range(3)]
groups = [
    GroupSpec(places[:2], conditions=("a", "v"), gains=True),
    GroupSpec(places[2:], "per-condition", conditions=("a",)),
]
spec = NetworkSpec({"a": Lookup(5, unknown="base"), "v": Vector(3)}, groups, taste_rank=2,
                   condition_width=4, site_width=3, hidden_width=6, n_basis=4, chunk_width=4,
                   head_width=6, n_labels=3)
values = {"a": torch.tensor([1, -1, 4, 1]), "v": torch.randn(4, 3)}
for kind in ("mlp", "basis", "chunked", "two-tower"):
    for combine in ("concat", "sum", "gate"):
        network = build_network(replace(spec, hypernetwork=kind, combine=combine))
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter)
        network.eval()
        compiled = torch.compile(network, fullgraph=True, backend="eager")
        fast, slow = compiled(values), network(values)
        pairs = [(fast.at(g, s), slow.at(g, s)) for g, s in ((0, 0), (0, 1), (1, 0))]
        for one, other in (*pairs, (fast.head_per_row()[:3], slow.head_per_row()[:3])):
            for left, right in zip(one, other, strict=True):
                if left is not None:
                    torch.testing.assert_close(left.expand_as(right), right)
        torch._dynamo.reset()
        print(kind, combine)
"""


@pytest.mark.slow
def test_all_kinds_can_be_compiled_as_one_graph():
    command = [sys.executable, "-W", "error", "-c", COMPILED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 12
