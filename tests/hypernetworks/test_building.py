import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from accelerate import init_empty_weights

from hyperadapters.conditions import Lookup, Vector
from hyperadapters.errors import ConfigError
from hyperadapters.hypernetworks import GroupSpec, NetworkSpec, build_network
from networks import CPU, KINDS, SPEC, built, ids, randomised


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
