"""Peak memory of training: ours beside plain LoRA, each in fresh processes."""

from benchmarks.speed import models
from benchmarks.speed.pairs import Pairs
from benchmarks.speed.peak import in_fresh_process
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import Setting


def memory(setting: Setting) -> list[Row]:
    """One row: ours / plain LoRA, above the memory of the loaded backbone."""
    sizes = setting.sizes
    n_annotators = max(sizes.annotators, sizes.rows)
    pairs = Pairs.of(
        (
            in_fresh_process("ours", setting, n_annotators),
            in_fresh_process("plain-lora", setting, n_annotators),
        )
        for _ in range(sizes.long_pairs)
    )
    shapes = (
        f"{sizes.backbone}, {sizes.rows} rows of {sizes.rows} annotators, {sizes.tokens} tokens, "
        f"r={models.RANK}, {n_annotators} annotators known"
    )
    ratio = "peak above the loaded backbone, ours / plain LoRA"
    return [Row("memory/plain-lora", ratio, shapes, pairs, "MiB")]
