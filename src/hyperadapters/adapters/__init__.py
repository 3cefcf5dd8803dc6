"""The form of what is generated: its shapes and its formula."""

from hyperadapters.adapters.head import HeadWeights, add_per_row, taste_logits
from hyperadapters.adapters.lora import LoRA, LoRAWeights, apply_lora
from hyperadapters.adapters.weights import AdapterWeights

__all__ = [
    "AdapterWeights",
    "HeadWeights",
    "LoRA",
    "LoRAWeights",
    "add_per_row",
    "apply_lora",
    "taste_logits",
]
