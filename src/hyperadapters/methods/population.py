"""The vector of nobody in particular, in a classifier that is trained already."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperadapters.encoders import LookupEncoder
from hyperadapters.methods.classifier import CONDITION, AnnotatorClassifier


@torch.no_grad()
def set_population(classifier: AnnotatorClassifier, vector: Float[Tensor, " width"]) -> None:
    """Answer strangers with this vector; nobody whom the classifier knows is changed.

    Args:
        classifier: The classifier, whose tables and configuration are changed.
        vector: What its tables of annotators have for nobody in particular, side by side.
    """
    tables = [m for m in classifier.network.modules() if isinstance(m, LookupEncoder)]
    parts = vector.split([table.width for table in tables])
    for table, part in zip(tables, parts, strict=True):
        own = part.unsqueeze(0).to(table.vectors.device, table.vectors.dtype)
        table.nobody = nn.Parameter(own.clone(), requires_grad=table.vectors.requires_grad)
    conditions: dict[str, Any] = classifier.model.peft_config["default"].conditions  # pyright: ignore
    conditions[CONDITION]["own_population"] = True
