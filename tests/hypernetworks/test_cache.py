import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from hyperadapters.adapters import Bottleneck, LoRA, Placement
from hyperadapters.conditions import Attributes, Lookup, Vector
from hyperadapters.errors import ConfigError
from hyperadapters.hypernetworks import GroupSpec, NetworkSpec, WeightCache, build_network
from hyperadapters.sites import Site

SITES = [Site("layer.0.query", 6, 6), Site("layer.1.query", 6, 8)]
FORMS = {"lora": LoRA(2, 4.0), "bottleneck": Bottleneck(3)}
WHO = {"who": Lookup(9)}


def made(form="lora", conditions=WHO, source="generated", **changes):
    places = [Placement(site, FORMS[form]) for site in SITES]
    gains = changes.pop("gains", False)
    group = GroupSpec(places, source, conditions=tuple(conditions), gains=gains)
    sizes = {"condition_width": 4, "site_width": 3, "hidden_width": 6, "head_width": 6}
    spec = NetworkSpec(conditions=conditions, groups=[group], n_labels=3, **sizes, **changes)
    network = build_network(spec)
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network.eval()


def who(*index):
    return {"who": torch.tensor(index)}


def tensors(weights):
    sites = [site for group in weights.groups for site in group.sites]
    return [part for site in sites for part in site if part is not None]


def per_row(weights, sites=2):
    parts = [part for site in range(sites) for part in weights.at(0, site) if part is not None]
    rows = weights.n_rows or 1
    return [part.expand(rows, *part.shape[1:]) for part in parts]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


CASES = {
    "lora": {},
    "bottleneck": {"form": "bottleneck"},
    "B alone": {"generate_a": False},
    "gains": {"gains": True},
    "stored": {"source": "per-condition"},
    "learned with gains": {"source": "learned", "gains": True},
    "people": {"conditions": {"who": Attributes({"age": 3, "country": 4})}},
    "base": {"conditions": {"who": Lookup(9, unknown="base")}},
    "two": {"conditions": {"who": Lookup(9), "task": Lookup(3)}},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@torch.no_grad()
def test_the_same_weights_with_and_without(case):
    network = made(**case)
    asked = {"who": torch.tensor([4, 0, -1, 4])}
    if "task" in network.spec.conditions:
        asked["task"] = torch.tensor([0, 2, 1, 0])
    if isinstance(network.spec.conditions["who"], Attributes):
        asked["who"] = torch.tensor([[0, 3], [2, 1], [-1, -1], [0, 3]])
    without = network(asked)
    network.cache = WeightCache(2**20)
    first, second = network(asked), network(asked)
    assert (network.cache.hits, network.cache.misses) == (3, 3)
    for weights in (first, second):
        assert same(per_row(weights), per_row(without))
        assert same(weights.head_per_row()[1:2], without.head_per_row()[1:2])


@torch.no_grad()
def test_who_comes_back_gets_the_same_bits_in_any_company():
    network = made()
    network.cache = WeightCache(2**20)
    alone = per_row(network(who(5)))
    for company in ((5, 2, 8), (8, 5), (5, 5, 5)):
        weights = per_row(network(who(*company)))
        position = company.index(5)
        assert all(torch.equal(w[position], a[0]) for w, a in zip(weights, alone, strict=True))
    fresh = made()(who(8, 2))
    for kept, written in zip(per_row(network(who(8, 2))), per_row(fresh), strict=True):
        torch.testing.assert_close(kept, written)
    assert (network.cache.hits, network.cache.misses) == (3 + 1 + 2, 3)


@torch.no_grad()
def test_the_least_recently_used_go_first():
    network = made()
    network.cache = cache = WeightCache(2**20)
    network(who(0))
    each = cache.n_bytes
    network.cache = cache = WeightCache(3 * each + each // 2)
    for index in (0, 1, 2, 0, 3):  # 1 is now the one that nobody has asked for the longest
        network(who(index))
    assert len(cache) == 3 and cache.n_bytes == 3 * each <= cache.max_bytes
    before = cache.misses
    for index in (0, 2, 3):
        network(who(index))
    assert cache.misses == before
    network(who(1))
    assert cache.misses == before + 1
    # More than it holds at once: all are answered for.
    everybody = who(*range(9))
    torch.testing.assert_close(tensors(network(everybody)), tensors(made()(everybody)))
    assert len(cache) == 3


@torch.no_grad()
def test_what_is_too_large_is_not_kept():
    network = made()
    network.cache = WeightCache(1)
    assert same(tensors(network(who(1, 2))), tensors(made()(who(1, 2))))
    assert len(network.cache) == network.cache.n_bytes == 0


CHANGES = {
    "a step": lambda n: torch.optim.SGD(n.parameters(), 1.0).step(),
    "loaded": lambda n: n.load_state_dict({k: v + 1 for k, v in n.state_dict().items()}),
    "assigned": lambda n: n.load_state_dict(
        {k: v + 1 for k, v in n.state_dict().items()}, assign=True
    ),
    "converted": lambda n: n.double(),
}


@pytest.mark.parametrize("change", ["a step", "loaded", "assigned", "converted"])
def test_when_a_parameter_changes_everything_is_forgotten(change):
    network = made()
    network.cache = WeightCache(2**20)
    with torch.no_grad():
        network(who(1, 2))
    if change == "a step":
        for parameter in network.parameters():
            parameter.grad = torch.ones_like(parameter)
    CHANGES[change](network)
    with torch.no_grad():
        kept = network(who(1, 2))
        network.cache = None
        assert same(tensors(kept), tensors(network(who(1, 2))))


@torch.no_grad()
def test_autocast_has_weights_of_its_own():
    network = made()
    network.cache = WeightCache(2**20)
    plain = network(who(1, 2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = network(who(1, 2))
    network.cache = None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert same(tensors(cast), tensors(network(who(1, 2))))
    assert not same(tensors(cast), tensors(plain))


def test_in_training_and_with_gradients_nothing_is_kept():
    network = made()
    network.cache = WeightCache(2**20)
    assert tensors(network(who(1, 2)))[0].requires_grad
    network.train()
    with torch.no_grad():
        network(who(1, 2))
    assert network.cache.hits == network.cache.misses == 0
    with torch.inference_mode():
        network.eval()(who(1, 2))
        network(who(1, 2))
    assert (network.cache.hits, network.cache.misses) == (2, 2)
    with torch.no_grad():  # what was written in inference mode serves everywhere
        assert same(tensors(network(who(2))), tensors(network(who(2))))


@torch.no_grad()
def test_only_indices_are_kept():
    network = made(conditions={"who": Vector(3)})
    network.cache = WeightCache(2**20)
    network({"who": torch.randn(2, 3)})
    network = made()
    network.cache = WeightCache(2**20)
    network({"who": torch.full((2, 9), 1 / 9)})  # a mixture
    assert network.cache.misses == 0


@torch.no_grad()
def test_while_nobody_deviates_there_is_nothing_to_keep():
    network = made(start="lora")
    network.cache = WeightCache(2**20)
    source = network.sources[0].source
    with source.deviating(False):
        network(who(1, 2))
    assert network.cache.misses == 0
    assert same(tensors(network(who(1, 2))), tensors(made(start="lora")(who(1, 2))))


@torch.no_grad()
def test_many_threads():
    network = made()
    wanted = {index: tensors(network(who(index))) for index in range(9)}
    each = sum(part.numel() * 4 for part in wanted[0])
    network.cache = WeightCache(4 * each)

    @torch.no_grad()
    def ask(number):
        index = number * 7 % 9
        found = tensors(network(who(index)))
        return all(torch.allclose(a, b) for a, b in zip(found, wanted[index], strict=True))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))
    assert network.cache.hits + network.cache.misses == 200
    assert network.cache.n_bytes <= 4 * each


@torch.no_grad()
def test_cleared_and_copied():
    network = made()
    network.cache = WeightCache(2**20)
    network(who(1, 2))
    for other in (copy.deepcopy(network).cache, pickle.loads(pickle.dumps(network.cache))):
        assert len(other) == 0 and other.max_bytes == 2**20
    network.cache.clear()
    assert len(network.cache) == network.cache.n_bytes == 0
    network(who(1, 2))
    assert network.cache.misses == 4


def test_a_cache_without_room_is_refused():
    with pytest.raises(ConfigError, match="max_bytes must be at least 1, got 0"):
        WeightCache(0)
