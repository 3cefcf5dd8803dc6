"""Frozen models to adapt: classifiers and encoder–decoders, built in or of Transformers."""

from hyperadapters.backbones.attention_dropout import stop_attention_dropout
from hyperadapters.backbones.cumulative import (
    HEAD_NAMES,
    CumulativeHead,
    CumulativeLinks,
    start_at_shares,
)
from hyperadapters.backbones.frozen_linear import (
    FrozenLinear,
    use_fast_products,
    use_plain_products,
)
from hyperadapters.backbones.load import BUILT_IN, Backbone, load_backbone
from hyperadapters.backbones.lower import LowerLayers
from hyperadapters.backbones.pooled import MeanPooledClassifier
from hyperadapters.backbones.positions import first_position, n_positions
from hyperadapters.backbones.seq2seq import BUILT_IN_SEQ2SEQ, Seq2SeqBackbone, load_seq2seq

__all__ = [
    "BUILT_IN",
    "BUILT_IN_SEQ2SEQ",
    "HEAD_NAMES",
    "Backbone",
    "CumulativeHead",
    "CumulativeLinks",
    "FrozenLinear",
    "LowerLayers",
    "MeanPooledClassifier",
    "Seq2SeqBackbone",
    "first_position",
    "load_backbone",
    "load_seq2seq",
    "n_positions",
    "start_at_shares",
    "stop_attention_dropout",
    "use_fast_products",
    "use_plain_products",
]
