"""Prediction for a batch of as many annotators as rows: ours beside PEFT's own mixed batches."""

import torch
from benchmarks.speed import models
from benchmarks.speed.pairs import in_pairs
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import Setting
from benchmarks.speed.steps import conditioned


@torch.no_grad()
def mixed(setting: Setting) -> list[Row]:
    """PEFT's `adapter_names` / ours, and on a CPU / ours with PyTorch's own products."""
    sizes, device = setting.sizes, setting.device
    plain = models.backbone(sizes.backbone, device)
    head = models.linear_head(plain)
    stored = models.separate_loras(plain, sizes.rows, head).eval()
    generated = models.ours(models.backbone(sizes.backbone, device), sizes.annotators).eval()
    batch = models.batch(plain, sizes.rows, sizes.tokens, sizes.rows, device)
    inputs = {name: value for name, value in batch.inputs.items() if name != "labels"}
    names = [models.adapter_name(int(one)) for one in batch.annotators]
    told = {name: value for name, value in conditioned(batch).items() if name != "labels"}
    shapes = (
        f"{sizes.backbone}, {sizes.rows} rows of {sizes.rows} annotators, {sizes.tokens} tokens, "
        f"r={models.RANK}, no gradient"
    )

    def row(name: str, ratio: str) -> Row:
        pairs = in_pairs(
            lambda: stored(**inputs, adapter_names=names),
            lambda: generated(**told),
            device,
            sizes.pairs,
        )
        return Row(f"mixed/{name}", ratio, shapes, pairs)

    rows = [row("adapter-names", "PEFT adapter_names / ours")]
    if not setting.on_gpu:
        models.as_pytorch(generated)
        what = "PEFT adapter_names / ours with PyTorch's products"
        rows.append(row("adapter-names-as-pytorch", what))
    return rows
