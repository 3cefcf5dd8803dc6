"""A training step for a hundred annotators, and for a million."""

import gc

from benchmarks.speed import models
from benchmarks.speed.pairs import Pairs, in_pairs
from benchmarks.speed.peak import in_fresh_process
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import Setting
from benchmarks.speed.trainer import TrainerStep


def people(setting: Setting) -> list[Row]:
    """Time and memory of each number of annotators, beside the smallest."""
    sizes = setting.sizes
    least, *others = sizes.people
    few = TrainerStep(sizes, least)
    peaks = {
        size: [in_fresh_process("people", setting, size) for _ in range(sizes.long_pairs)]
        for size in sizes.people
    }
    shapes = (
        f"{sizes.backbone}, {sizes.rows} rows of {sizes.rows} annotators, {sizes.tokens} tokens, "
        f"r={models.RANK}, all layers, our Trainer"
    )
    rows = []
    for size in others:
        many = TrainerStep(sizes, size)
        pairs = in_pairs(many, few, setting.device, sizes.pairs)
        del many
        gc.collect()
        ratio = f"{size:,} annotators / {least:,}"
        rows.append(Row(f"people/{size}", f"step, {ratio}", shapes, pairs))
        memory = Pairs.of(zip(peaks[size], peaks[least], strict=True))
        what = f"peak memory with the backbone, {ratio}"
        rows.append(Row(f"people/{size}/memory", what, shapes, memory, "MiB"))
    return rows
