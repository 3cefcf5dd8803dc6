"""Frozen models to adapt: the built-in encoder, or any sequence classifier of Transformers."""

from hyperadapters.backbones.load import BUILT_IN, Backbone, load_backbone
from hyperadapters.backbones.pooled import MeanPooledClassifier
from hyperadapters.backbones.trunk import Trunk, layer_count

__all__ = ["BUILT_IN", "Backbone", "MeanPooledClassifier", "Trunk", "layer_count", "load_backbone"]
