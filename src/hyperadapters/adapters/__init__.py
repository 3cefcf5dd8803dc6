"""The form of what is generated: its shapes and its formula."""

from hyperadapters.adapters.bottleneck import Activation, Bottleneck, BottleneckWeights
from hyperadapters.adapters.directions import Directions
from hyperadapters.adapters.head import HeadWeights, matrix_logits, taste_logits
from hyperadapters.adapters.lora import LoRA, LoRAWeights, apply_lora
from hyperadapters.adapters.near_zero import near_zero_
from hyperadapters.adapters.placement import AdapterForm, Placement, SiteWeights, silenced
from hyperadapters.adapters.rows import add_per_row, project, scale_per_row
from hyperadapters.adapters.weights import (
    OFF,
    PENDING,
    Absent,
    AdapterWeights,
    GroupWeights,
    Unwritten,
)

__all__ = [
    "OFF",
    "PENDING",
    "Absent",
    "Activation",
    "AdapterForm",
    "AdapterWeights",
    "Bottleneck",
    "BottleneckWeights",
    "Directions",
    "GroupWeights",
    "HeadWeights",
    "LoRA",
    "LoRAWeights",
    "Placement",
    "SiteWeights",
    "Unwritten",
    "add_per_row",
    "apply_lora",
    "matrix_logits",
    "near_zero_",
    "project",
    "scale_per_row",
    "silenced",
    "taste_logits",
]
