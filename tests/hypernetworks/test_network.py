from dataclasses import replace

import pytest
import torch

from hyperadapters.conditions import Lookup
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.hypernetworks import AdapterNetwork, NetworkSpec, build_network

SPEC = NetworkSpec(
    conditions={"annotator_ids": Lookup(5)},
    r=2,
    condition_width=4,
    site_width=3,
    hidden_width=6,
    taste_rank=2,
    head_width=6,
    n_labels=3,
)


def built(sites, **changes) -> AdapterNetwork:
    network = build_network(replace(SPEC, **changes), sites)
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network.eval()


def ids(*indices: int) -> dict[str, torch.Tensor]:
    return {"annotator_ids": torch.tensor(indices)}


@pytest.mark.parametrize("source", ["centred", "two-tower"])
def test_rows_have_the_weights_of_their_condition(sites, source):
    network = built(sites[:2], lora_source=source)
    together = network(ids(3, -1, 0, 3))
    for row, index in enumerate((3, -1, 0, 3)):
        alone = network(ids(index))
        for site in range(2):
            torch.testing.assert_close(together.lora_at(site).a[row], alone.lora_at(site).a[0])
            torch.testing.assert_close(together.lora_at(site).b[row], alone.lora_at(site).b[0])
        for part, single in zip(together.head_per_row()[:3], alone.head_per_row()[:3], strict=True):
            assert part is not None and single is not None
            torch.testing.assert_close(part[row], single[0])


def test_weights_are_written_once_per_distinct_condition(sites):
    network, seen = built(sites), []
    network.hypernetwork.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[0]))
    weights = network(ids(3, -1, 0, 3, 3, 0, -1, -1))
    assert seen == [3]
    assert weights.n_rows == 8 and weights.lora[0].b.shape[0] == 3


def test_several_conditions_are_distinct_together(sites):
    network = built(sites, conditions={"a_ids": Lookup(5, width=2), "b_ids": Lookup(3)})
    assert network.vectors({"a_ids": torch.tensor([1]), "b_ids": torch.tensor([2])}).shape == (1, 6)
    a, b = torch.tensor([1, 1, 0, 1]), torch.tensor([2, 0, 2, 2])
    weights = network({"b_ids": b, "a_ids": a})
    assert weights.lora[0].b.shape[0] == 3
    alone = network({"a_ids": a[1:2], "b_ids": b[1:2]})
    torch.testing.assert_close(weights.lora_at(0).b[1], alone.lora_at(0).b[0])


def test_stored_biases(sites):
    network = built(sites, lora_source="learned", bias_source="per-condition", shift=False)
    weights = network(ids(4, -1, 4))
    bias = weights.head_per_row().bias
    assert bias is not None
    assert torch.equal(bias[0], network.biases["annotator_ids"].vectors[4])
    assert bias[1].abs().max() == 0
    assert network.vectors(ids(4, 1)).shape == (2, 0)
    assert weights.lora_at(0).b.shape[0] == 1


def test_text_only_needs_no_condition(sites):
    network = built(
        sites, lora_source="learned", bias_source="none", shift=False, taste_rank=0, conditions={}
    )
    weights = network({})
    assert weights.n_rows is None and not any(part is not None for part in weights.head)
    assert len(network.encoders) == 0


def test_condition_dropout_answers_from_the_population(sites):
    for source in ("centred", "two-tower"):
        network = built(sites[:2], lora_source=source, condition_dropout=0.9999)
        indices = {"annotator_ids": torch.arange(5)}
        known = network.vectors(indices)
        assert torch.equal(known, network.encoders["annotator_ids"].vectors)
        nobody = network.vectors(ids(-1)).expand(5, -1)
        torch.testing.assert_close(network.train().vectors(indices), nobody)


def test_condition_dropout_has_the_stated_probability(sites):
    network = built(sites, condition_dropout=0.25, conditions={"annotator_ids": Lookup(4000)})
    torch.manual_seed(0)
    z = network.train().vectors({"annotator_ids": torch.arange(4000)})
    assert (z == 0).all(dim=1).float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_condition_noise_in_training_only(sites):
    network = built(sites, condition_noise=0.5, conditions={"annotator_ids": Lookup(1000)})
    everyone = {"annotator_ids": torch.arange(1000)}
    known = network.vectors(everyone)
    torch.manual_seed(0)
    noise = network.train().vectors(everyone) - known
    assert noise.std().item() == pytest.approx(0.5, rel=0.05)


def test_layers_that_deviate(sites):
    network = built(sites, deviating_layers=[1])
    leading = [pair.b.shape[0] for pair in network(ids(0, 1)).lora]
    assert leading == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "missing condition annotator_ids: this model adapts to annotator_ids; pass one index"),
        ({"annotator_id": torch.tensor([0])}, "missing condition annotator_ids"),
        ({"annotator_ids": torch.tensor([5])}, "annotator_ids: got index 5; wanted 0 to 4, or -1"),
    ],
)
def test_conditions_that_do_not_do(sites, given, message):
    with pytest.raises(ConditionError, match=message):
        built(sites)(given)


def test_conditions_of_unequal_length(sites):
    network = built(sites, conditions={"a_ids": Lookup(5), "b_ids": Lookup(3)})
    with pytest.raises(ConditionError, match=r"differ in length: {'a_ids': \(2,\), 'b_ids': \(1,"):
        network({"a_ids": torch.tensor([0, 1]), "b_ids": torch.tensor([0])})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conditions": {}}, "no conditions: name at least one"),
        ({"n_labels": None}, "bias_source='generated' needs a classification head"),
        (
            {"n_labels": None, "bias_source": "per-condition"},
            "bias_source='per-condition' needs a classification head",
        ),
        ({"head_width": None}, "shift=True needs a classification head"),
        (
            {"deviating_layers": [7]},
            r"no adapted layer is among deviating_layers \[7\]; adapted: \[0, 1\]",
        ),
        ({"lora_source": "two-tower"}, "needs sites of one shape, got 6→6, 6→8"),
    ],
)
def test_specifications_that_cannot_be_built(sites, changes, message):
    with pytest.raises(ConfigError, match=message):
        build_network(replace(SPEC, **changes), sites)
