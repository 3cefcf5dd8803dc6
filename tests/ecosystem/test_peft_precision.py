"""Half precision: as an autocast, of the whole model, and of the backbone alone."""

import pytest
import torch
from peft import get_peft_model

IDS = torch.tensor([2, -1, 0, 2, 6, -1])
families = pytest.mark.parametrize("family", ["bert", "llama", "t5"])
halves = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["fp16", "bf16"])
# A bound on the correlation, because a few deep layers of random weights magnify every rounding.
NEAR = 0.99


def correlation(one, other) -> float:
    return float(
        torch.corrcoef(torch.stack([one.float().flatten(), other.float().flatten()]))[0, 1]
    )


@torch.no_grad()
@families
@halves
def test_forward_half_no_autocast(adapted, batch, family, dtype):
    """`model.half()` and `.bfloat16()` cast the network too."""
    model, given = adapted(family), batch(family)
    wanted = model(**given, annotator_ids=IDS).logits
    logits = model.to(dtype)(**given, annotator_ids=IDS).logits
    assert logits.dtype == dtype
    assert torch.isfinite(logits).all()
    assert correlation(logits, wanted) > NEAR


@torch.no_grad()
@families
def test_forward_bfloat16(adapted, batch, family):
    """Under autocast the weights stay in float32."""
    model, given = adapted(family), batch(family)
    wanted = model(**given, annotator_ids=IDS).logits
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(**given, annotator_ids=IDS).logits
    assert torch.isfinite(logits).all()
    assert correlation(logits, wanted) > NEAR


@families
@halves
def test_adapter_dtype_autocast(backbone, config, batch, randomised, family, dtype):
    """Beside a half-precision backbone, which Transformers 5 loads unasked, we learn in float32."""
    model = get_peft_model(backbone(family).to(dtype), config(family))
    learned = {p.dtype for n, p in model.named_parameters() if "hyperadapter_network" in n}
    assert learned == {torch.float32}
    randomised(model)
    outcome = model.train()(**batch(family, labels=True), annotator_ids=IDS)
    assert outcome.logits.dtype == dtype
    outcome.loss.backward()
    network = [p for n, p in model.named_parameters() if "hyperadapter_network" in n]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network)


@torch.no_grad()
@families
def test_a_half_precision_adapter_is_saved_and_loaded(adapted, backbone, batch, tmp_path, family):
    from peft import PeftModel

    model, given = adapted(family).to(torch.bfloat16), batch(family)
    wanted = model(**given, annotator_ids=IDS).logits
    model.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(backbone(family).to(torch.bfloat16), str(tmp_path))
    got = loaded(**given, annotator_ids=IDS).logits
    assert got.dtype == torch.bfloat16
    assert correlation(got, wanted) > NEAR
