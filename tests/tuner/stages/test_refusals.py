"""What is refused, and that nothing of it stays behind."""

import contextlib

import pytest
import torch
from peft import get_peft_model

import hyperadapters as ha
from hyperadapters import Group
from hyperadapters.errors import ConfigError, SiteError
from staged import described

pytestmark = pytest.mark.filterwarnings("ignore:Version v4.12.0:FutureWarning")


def test_merging_and_exporting(zoo, adapted, tmp_path):
    model, batch = adapted("T5", "encoder", "mlp")
    with pytest.raises(ConfigError, match="nothing single to merge"):
        model.merge_and_unload()
    with pytest.raises(ConfigError, match="encoded is the input itself"):
        model.merge_and_unload(condition={})
    with pytest.raises(ConfigError, match="encoded is the input itself"):
        ha.export_lora(model, {}, tmp_path / "lora")
    bottleneck, _ = adapted("T5", "encoder", "published")
    with pytest.raises(ConfigError, match="which is not linear"):
        bottleneck.merge_and_unload(condition={"encoded": torch.zeros(32)})
    twice, _ = adapted("T5", "both", "mlp")
    vectors = {"encoded": torch.zeros(32), "read_first": torch.zeros(32)}
    with pytest.raises(ConfigError, match="for a first pass alone"):
        twice.merge_and_unload(condition=vectors)
    with torch.no_grad():
        one = torch.randn(32)
        wanted = model(**batch, encoded=one).logits
        merged = model.merge_and_unload(condition={"encoded": one})
        torch.testing.assert_close(merged(**batch).logits, wanted, atol=1e-4, rtol=1e-4)
        assert not merged.get_encoder()._forward_hooks


def failing(zoo, family, error, message, head="SEQ_2_SEQ_LM", **config):
    case = zoo.Case(family, head)
    with pytest.raises(error, match=message):
        get_peft_model(zoo.make_backbone(case), zoo.make_adapter_config(case, **config))


ENCODED = {"encoded": ha.Instance(source="encoder")}


FIRST = {"read_first": ha.Instance(source="first-pass")}


def test_what_cannot_be_built(zoo):
    failing(zoo, "T5", SiteError, "give the group stack='decoder'", conditions=ENCODED)
    on_encoder = [Group(stack="encoder")]
    failing(zoo, "BART", SiteError, "encoder gives when", conditions=ENCODED, groups=on_encoder)
    failing(zoo, "BERT", SiteError, "stack='decoder'", "SEQ_CLS", conditions=ENCODED)
    learned = [Group(source="learned", conditions=())]
    for family, head in (("BERT", "SEQ_CLS"), ("Llama", "CAUSAL_LM"), ("OPT", "CAUSAL_LM")):
        groups = learned if family != "OPT" else [Group(r=2)]
        message = "has no decoder; use source='first-pass'"
        failing(zoo, family, ConfigError, message, head, conditions=ENCODED, groups=groups)
    first = [Group(source="learned", conditions=(), first_pass=True), Group()]
    message = "needs a condition Instance\\(source='first-pass'\\)"
    one = {"tasks": ha.Lookup(3)}
    failing(zoo, "T5", ConfigError, message, conditions=one, groups=first)
    first_reads = [Group(first_pass=True), Group()]
    failing(
        zoo, "BERT", ConfigError, "read afterwards", "SEQ_CLS", conditions=FIRST, groups=first_reads
    )
    for kind in ("mlp", "basis", "chunked", "two-tower"):
        failing(
            zoo,
            "T5",
            ConfigError,
            "belongs to hypernetwork='hyperdecoder'",
            conditions=one,
            hypernetwork=kind,
            start="near-zero",
        )
    for kind in ("mlp", "basis", "chunked"):
        for reading in ("plain", "none"):
            read = {"encoded": ha.Instance(source="encoder", reading=reading)}
            failing(
                zoo,
                "T5",
                ConfigError,
                f"reading='{reading}' is for",
                conditions=read,
                hypernetwork=kind,
                groups=[Group(stack="decoder")],
            )
            given = {"given": ha.Vector(5, reading=reading)}
            failing(
                zoo,
                "T5",
                ConfigError,
                f"reading='{reading}' is for",
                conditions=given,
                hypernetwork=kind,
            )


@pytest.mark.parametrize("source", ["first-pass", "encoder"])
def test_what_cannot_be_declared(source):
    with pytest.raises(ConfigError, match="reads the last layer, got layer=0"):
        ha.Instance(source=source, layer=0)
    with pytest.raises(ConfigError, match="no encoded_width"):
        ha.Instance(source=source, reading="none", encoded_width=4)


@pytest.mark.parametrize("first", [ENCODED, {"tasks": ha.Lookup(3)}])
@torch.no_grad()
def test_a_backbone_can_be_adapted_after_a_refusal(zoo, first):
    case = zoo.Case("T5", "SEQ_2_SEQ_LM")
    backbone = zoo.make_backbone(case)
    groups = [Group(source="learned", conditions=(), first_pass=True), Group(stack="encoder")]
    with pytest.raises((ConfigError, SiteError)):
        get_peft_model(backbone, zoo.make_adapter_config(case, conditions=first, groups=groups))
    config = zoo.make_adapter_config(case, **described("both", "mlp"))
    batch = zoo.make_batch(case)
    torch.manual_seed(0)
    model = get_peft_model(backbone, config).eval()
    torch.manual_seed(0)
    fresh = get_peft_model(
        zoo.make_backbone(case), zoo.make_adapter_config(case, **described("both", "mlp"))
    ).eval()
    for one in (model, fresh):
        zoo.randomise(ha.adapter_network(one))
    assert torch.equal(model(**batch).logits, fresh(**batch).logits)


@torch.no_grad()
def test_a_second_adapter_that_is_refused_leaves_the_first_one(zoo):
    case = zoo.Case("BERT", "SEQ_CLS")
    model, batch = zoo.make_adapted(case), zoo.make_batch(case)
    wanted = model(**batch, annotator_ids=1).logits
    groups = [Group(source="learned", conditions=())]
    config = zoo.make_adapter_config(case, conditions=ENCODED, groups=groups)
    with pytest.raises(ConfigError, match="has no decoder"):
        model.add_adapter("other", config)
    assert torch.equal(model(**batch, annotator_ids=1).logits, wanted)
    with contextlib.suppress(KeyError, ValueError):
        model.delete_adapter("other")
    assert torch.equal(model(**batch, annotator_ids=1).logits, wanted)
