"""The promise of the start: nothing is changed at first, and everything learns from step 0."""

import re

import pytest
import torch
from torch import Tensor

from hyperadapters.adapters import Bottleneck, LoRA, Placement, taste_logits
from hyperadapters.conditions import Attributes, Lookup, Vector
from hyperadapters.hypernetworks import AdapterNetwork, GroupSpec, NetworkSpec, build_network
from hyperadapters.sites import Site
from pairwise import pairwise

KINDS = ["mlp", "basis", "chunked"]
SITES = [Site("0.query", 6, 6), Site("0.output", 6, 9), Site("1.query", 6, 6)]
HEAD_WIDTH, N_LABELS, ROWS = 5, 3, 4

FORMS = {
    **{f"lora {r}": LoRA(r, 4.0) for r in (2, 3, 8)},
    **{f"bottleneck {a}": Bottleneck(8, a) for a in ("gelu", "silu", "tanh")},
}
CONDITIONS = {
    "lookup": {"ids": Lookup(ROWS)},
    "attributes": {"who": Attributes({"age": ("young", "old"), "land": ("CH", "AT")})},
    "vector": {"v": Vector(7)},
    "lookup and vector": {"ids": Lookup(ROWS), "v": Vector(7)},
    "lookup and attributes": {"ids": Lookup(ROWS), "who": Attributes({"age": ("young", "old")})},
}


def values(conditions) -> dict[str, Tensor]:
    """Values in which every number of the tables is asked for."""
    torch.manual_seed(1)
    given: dict[str, Tensor] = {}
    for name, condition in conditions.items():
        if isinstance(condition, Lookup):
            given[name] = torch.arange(ROWS)
        elif isinstance(condition, Attributes):
            columns = [torch.arange(ROWS) % size for size in condition.sizes]
            given[name] = torch.stack(columns, dim=1)
        else:
            given[name] = torch.randn(ROWS, condition.width)
    return given


def total(network: AdapterNetwork, given: dict[str, Tensor]) -> tuple[Tensor, float]:
    """A loss that reads every correction, and the largest of the corrections."""
    weights, loss, largest = network(given), torch.zeros(()), 0.0
    for number, group in enumerate(network.spec.groups):
        for site, place in enumerate(group.placements):
            x = torch.randn(ROWS, 3, place.site.in_width)
            correction = place.form.apply(x, weights.at(number, site))
            largest = max(largest, correction.abs().max().item())
            loss = loss + (correction * torch.randn_like(correction)).sum()
    shift, bias, gate, taste_in, taste_out, _ = weights.head_per_row()
    features = torch.randn(ROWS, HEAD_WIDTH)
    added = torch.zeros(ROWS, N_LABELS)
    if shift is not None:
        added = added + shift @ torch.randn(HEAD_WIDTH, N_LABELS)
    if bias is not None:
        added = added + bias
    if gate is not None and taste_in is not None and taste_out is not None:
        added = added + taste_logits(features, gate, taste_in, taste_out)
    loss = loss + (added * torch.randn_like(added)).sum()
    return loss, max(largest, added.abs().max().item())


def started(
    kind, combine, conditions, form, gains, source, sites=SITES, **changes
) -> AdapterNetwork:
    torch.manual_seed(0)
    names = tuple(conditions)
    group = GroupSpec([Placement(site, form) for site in sites], source, names, gains)
    options = {
        **{"condition_width": 9, "site_width": 4, "hidden_width": 10, "n_basis": 4},
        **{"chunk_width": 4, "taste_rank": 3, "head_width": HEAD_WIDTH, "n_labels": N_LABELS},
        **changes,
    }
    return build_network(
        NetworkSpec(conditions, [group], combine=combine, hypernetwork=kind, **options)
    )


def check(network: AdapterNetwork, waits: tuple[str, ...] = ()) -> None:
    loss, largest = total(network, values(network.spec.conditions))
    assert largest == 0
    loss.backward()
    for name, parameter in network.named_parameters():
        reached = parameter.grad is not None and bool((parameter.grad != 0).any())
        assert reached is not name.endswith(waits or ("nothing",)), name


# A single vector is not added to anything.
WAYS = [
    (conditions, combine)
    for conditions, declared in CONDITIONS.items()
    for combine in ("concat", "sum", "gate")
    if combine != "sum" or len(declared) > 1
]


@pairwise(kind=KINDS, way=WAYS, form=[*FORMS])
def test_generated(kind, way, form):
    conditions, combine = way
    check(started(kind, combine, CONDITIONS[conditions], FORMS[form], False, "generated"))


@pairwise(kind=KINDS, way=[w for w in WAYS if "lookup" in w[0]], form=[*FORMS])
def test_generated_with_gains(kind, way, form):
    conditions, combine = way
    network = started(kind, combine, CONDITIONS[conditions], FORMS[form], True, "generated")
    # Of two directions none is left to the gains.
    check(network, ("gains.2.shared", "gains.2.deviation.vectors") if form == "lora 2" else ())


@pytest.mark.parametrize("gains", [False, True], ids=["", "gains"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("source", ["learned", "per-condition"])
def test_learned_and_stored(source, form, gains):
    network = started("mlp", "concat", CONDITIONS["lookup"], FORMS[form], gains, source)
    waits = ("gains.2.shared", "gains.2.deviation.vectors") if gains and form == "lora 2" else ()
    check(network, waits)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_head(kind):
    headless = {"shift": False, "bias_source": "none", "taste_rank": 0}
    check(
        started(kind, "concat", CONDITIONS["lookup"], LoRA(4, 1.0), False, "generated", **headless)
    )


@pairwise(kind=KINDS, width=[3, 5, 8, 31], hidden_width=[2, 6, 34, 62])
def test_sizes_that_do_not_fill_a_line_of_memory(kind, width, hidden_width):
    sizes = {"condition_width": width, "hidden_width": hidden_width, "site_width": 3}
    place = (CONDITIONS["lookup and vector"], LoRA(5, 1.0), False, "generated")
    check(started(kind, "gate", *place, **sizes))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", [LoRA(1, 1.0), Bottleneck(1), Bottleneck(8, "relu")])
def test_forms_whose_incoming_tensors_have_to_wait_change_nothing_either(kind, form):
    network = started(kind, "concat", CONDITIONS["lookup"], form, False, "generated")
    incoming = re.compile(r"\.(a|down|down_bias)$|\.heads\.\w+\.(a|down|down_bias)_[\dx]+\b")
    waits = tuple(name for name, _ in network.named_parameters() if incoming.search(name))
    assert waits
    check(network, waits)


def test_the_published_hypernetwork_changes_nothing_at_first():
    """But only B of the towers, bias and shift learn at once: that is how it was published."""
    lora = LoRA(2, 1.0), False, "generated"
    network = started("two-tower", "concat", CONDITIONS["lookup"], *lora, sites=SITES[::2])
    assert total(network, values(network.spec.conditions))[1] == 0
