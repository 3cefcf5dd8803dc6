"""Prediction for a batch of as many annotators as rows: ours beside PEFT's own mixed batches."""

import torch
from benchmarks.speed import models
from benchmarks.speed.pairs import in_pairs
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import Setting
from benchmarks.speed.steps import conditioned


@torch.no_grad()
def mixed(setting: Setting) -> list[Row]:
    """One row: PEFT's `adapter_names` / ours."""
    sizes, device = setting.sizes, setting.device
    plain = models.backbone(sizes.backbone, device)
    head = models.linear_head(plain)
    stored = models.separate_loras(plain, sizes.rows, head).eval()
    generated = models.ours(models.backbone(sizes.backbone, device), sizes.annotators).eval()
    batch = models.batch(plain, sizes.rows, sizes.tokens, sizes.rows, device)
    inputs = {name: value for name, value in batch.inputs.items() if name != "labels"}
    names = [models.adapter_name(int(one)) for one in batch.annotators]
    told = {name: value for name, value in conditioned(batch).items() if name != "labels"}
    pairs = in_pairs(
        lambda: stored(**inputs, adapter_names=names),
        lambda: generated(**told),
        device,
        sizes.pairs,
    )
    shapes = (
        f"{sizes.backbone}, {sizes.rows} rows of {sizes.rows} annotators, {sizes.tokens} tokens, "
        f"r={models.RANK}, no gradient"
    )
    return [Row("mixed/adapter-names", "PEFT adapter_names / ours", shapes, pairs)]
