"""The form of what is generated: its shapes and its formula."""

from hyperadapters.adapters.lora import LoRA, LoRAWeights, apply_lora
from hyperadapters.adapters.weights import AdapterWeights

__all__ = ["AdapterWeights", "LoRA", "LoRAWeights", "apply_lora"]
