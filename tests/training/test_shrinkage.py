import numpy as np
import pytest
import torch

from hyperadapters.adapters import LoRA, Placement
from hyperadapters.conditions import Lookup
from hyperadapters.hypernetworks import GroupSpec, NetworkSpec, build_network
from hyperadapters.sites import Site
from hyperadapters.training.shrinkage import Shrinkage

PLACE = Placement(Site("layer.0.query", 4, 4), LoRA(1, 1.0))

# Annotator 0 has rated 3 times, 1 once, 2 twice.
TRAIN = np.array([0, 1, 0, 2, 0, 2])


@pytest.fixture
def network():
    spec = NetworkSpec(
        conditions={"annotator_ids": Lookup(3)},
        groups=[GroupSpec([PLACE], conditions=("annotator_ids",))],
        **{"shift": False, "condition_width": 2, "n_labels": 2, "head_width": 4},
    )
    network = build_network(spec)
    vectors = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    with torch.no_grad():
        network.encoders["annotator_ids"].vectors.copy_(vectors)
    return network


def test_the_formula_by_hand(network):
    penalty = Shrinkage(network, TRAIN, weight=0.5)
    # |z|² is 9, 4, 2 and n is 3, 1, 2: rows of 0, 1, 2 cost 3, 4, 1.
    batch = torch.tensor([0, 1, 1, 2])
    assert penalty(batch).item() == pytest.approx(0.5 * (3 + 4 + 4 + 1) / 4)


def test_over_an_epoch_each_annotator_counts_once(network):
    penalty = Shrinkage(network, TRAIN, weight=2.0)
    over_rows = penalty(torch.from_numpy(TRAIN)).item() * len(TRAIN)
    assert over_rows == pytest.approx(2.0 * (9 + 4 + 2))


def test_the_pull_is_stronger_where_ratings_are_few(network):
    vectors = network.encoders["annotator_ids"].vectors
    with torch.no_grad():
        vectors.fill_(1.0)
    Shrinkage(network, TRAIN, weight=1.0)(torch.tensor([0, 1, 2])).backward()
    pull = vectors.grad.norm(dim=1)
    assert pull[1] > pull[2] > pull[0] > 0
    assert float(pull[1] / pull[0]) == pytest.approx(3)


def test_nothing_is_pulled_at_weight_zero_or_without_annotators(network):
    assert Shrinkage(network, TRAIN, weight=0.0)(torch.tensor([0])) == 0.0
    groups = [GroupSpec([PLACE], "learned")]
    spec = NetworkSpec(conditions={}, groups=groups, bias_source="none", shift=False, n_labels=2)
    shared = build_network(spec)
    assert Shrinkage(shared, TRAIN, weight=1.0)(torch.tensor([0])) == 0.0
