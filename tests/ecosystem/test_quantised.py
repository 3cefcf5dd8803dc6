"""Backbones whose linear modules hold no weight matrix that one could look at."""

import pytest
import torch
from peft import get_peft_model
from torch import nn

import hyperadapters as ha
from hyperadapters.errors import ConfigError, SiteError

IDS = torch.tensor([2, -1, 0, 2, 6, -1])


class Packed(nn.Module):
    """Stands for any quantised linear: it says its widths, and packs its weight somewhere."""

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = plain.in_features, plain.out_features
        scale = plain.weight.detach().abs().max() / 127
        self.register_buffer("packed", (plain.weight.detach() / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_buffer("offset", plain.bias.detach() if plain.bias is not None else None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.packed.to(x.dtype) * self.scale, self.offset)


def pack(model: nn.Module, targets: tuple[str, ...], kind=Packed) -> nn.Module:
    for path, module in list(model.named_modules()):
        if path.endswith(targets):
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, kind(module))
    return model


TARGETS = {"bert": ("query", "value"), "llama": ("q_proj", "v_proj")}


@pytest.mark.parametrize("family", TARGETS)
def test_whatever_says_its_widths_can_be_adapted(
    backbone, config, batch, randomised, tmp_path, family
):
    plain = pack(backbone(family), TARGETS[family])
    with torch.no_grad():
        untouched = plain(**batch(family)).logits
    model = get_peft_model(plain, config(family)).eval()
    with torch.no_grad(), model.disable_adapter():
        assert torch.equal(model(**batch(family)).logits, untouched)
    randomised(model)
    with torch.no_grad():
        mixed = model(**batch(family), annotator_ids=IDS).logits
        alone = model(**batch(family), annotator_ids=2).logits
    torch.testing.assert_close(mixed[IDS == 2], alone[IDS == 2], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(mixed[IDS != 2], alone[IDS != 2], atol=1e-3)
    model.train()(**batch(family, labels=True), annotator_ids=IDS).loss.backward()
    vectors = ha.adapter_network(model).encoders["annotator_ids"].vectors
    assert (vectors.grad.abs().sum(1) > 0).tolist() == [i in IDS for i in range(7)]


@torch.no_grad()
@pytest.mark.parametrize("family", TARGETS)
def test_the_export_of_a_packed_backbone_serves_the_plain_one(
    backbone, config, batch, randomised, tmp_path, family
):
    """An export looks at the generated weights alone, never at those of the backbone."""
    from peft import PeftModel

    model = get_peft_model(pack(backbone(family), TARGETS[family]), config(family)).eval()
    randomised(model)
    wanted = model(**batch(family), annotator_ids=3).logits
    ha.export_lora(model, {"annotator_ids": 3}, tmp_path, include_head=True)
    served = PeftModel.from_pretrained(backbone(family), str(tmp_path)).eval()
    pack(served, tuple(f"{name}.base_layer" for name in TARGETS[family]))
    torch.testing.assert_close(served(**batch(family)).logits, wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("family", TARGETS)
def test_a_packed_backbone_cannot_be_merged_and_is_left_as_it_was(
    backbone, config, batch, randomised, family
):
    model = get_peft_model(pack(backbone(family), TARGETS[family]), config(family)).eval()
    randomised(model)
    wanted = model(**batch(family), annotator_ids=IDS).logits
    with pytest.raises(ConfigError, match="Packed"):
        model.merge_and_unload(condition={"annotator_ids": 3})
    assert torch.equal(model(**batch(family), annotator_ids=IDS).logits, wanted)


@pytest.mark.parametrize("wrong", [None, 0, 32.0, "32"])
def test_widths_that_are_no_widths(backbone, config, wrong):
    plain = pack(backbone(), TARGETS["bert"])
    plain.bert.encoder.layer[0].attention.self.query.out_features = wrong
    with pytest.raises(SiteError, match=r"layer\.0\.attention\.self\.query"):
        get_peft_model(plain, config())


def as_8bit(plain: nn.Linear) -> nn.Module:
    bnb = pytest.importorskip("bitsandbytes")
    packed = bnb.nn.Linear8bitLt(
        plain.in_features, plain.out_features, plain.bias is not None, has_fp16_weights=False
    )
    packed.load_state_dict(plain.state_dict())
    return packed.to("cpu")


def as_4bit(plain: nn.Linear) -> nn.Module:
    bnb = pytest.importorskip("bitsandbytes")
    packed = bnb.nn.Linear4bit(
        plain.in_features,
        plain.out_features,
        plain.bias is not None,
        compute_dtype=torch.float32,
        quant_type="nf4",
    )
    packed.load_state_dict(plain.state_dict())
    return packed.to("cpu")


# bitsandbytes rounds inputs to half precision, and looks for a faster kernel that is not there.
@pytest.mark.filterwarnings("ignore:MatMul8bitLt")
@pytest.mark.filterwarnings("ignore:.*kernels")
@pytest.mark.parametrize("kind", [as_8bit, as_4bit], ids=["8 bits", "4 bits"])
@pytest.mark.parametrize("family", TARGETS)
def test_bitsandbytes(backbone, config, batch, randomised, family, kind):
    pytest.importorskip("bitsandbytes")

    def packed() -> nn.Module:  # 4 bits come in blocks of 64
        return pack(backbone(family, hidden_size=64), TARGETS[family], kind)

    model = get_peft_model(packed(), config(family)).train()
    randomised(model)
    model(**batch(family, labels=True), annotator_ids=IDS).loss.backward()
    vectors = ha.adapter_network(model).encoders["annotator_ids"].vectors
    assert (vectors.grad.abs().sum(1) > 0).tolist() == [i in IDS for i in range(7)]

    plain, model = packed().eval(), get_peft_model(packed(), config(family)).eval()
    randomised(model)
    with torch.no_grad():
        untouched = plain(**batch(family)).logits
        with model.disable_adapter():
            assert torch.equal(model(**batch(family)).logits, untouched)
        mixed = model(**batch(family), annotator_ids=IDS).logits
        alone = model(**batch(family), annotator_ids=2).logits
    torch.testing.assert_close(mixed[IDS == 2], alone[IDS == 2], atol=1e-2, rtol=1e-2)
    assert not torch.allclose(mixed[IDS != 2], alone[IDS != 2], atol=1e-1)
