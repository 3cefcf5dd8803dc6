import pytest
import torch

from hyperadapters.conditions import Lookup
from networks import built, ids, vectors_of


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
