"""Adapters of single conditions as ordinary PEFT LoRA folders."""

from hyperadapters.export.lora import export_lora, lora_of

__all__ = ["export_lora", "lora_of"]
