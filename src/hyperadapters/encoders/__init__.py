"""Condition → vector."""

from hyperadapters.encoders.attributes import AttributesEncoder
from hyperadapters.encoders.base import ConditionEncoder
from hyperadapters.encoders.build import build_encoder
from hyperadapters.encoders.lookup import LookupEncoder
from hyperadapters.encoders.plain import PlainEncoder
from hyperadapters.encoders.prepare import prepare
from hyperadapters.encoders.standardised import StandardisedEncoder
from hyperadapters.encoders.start import Start, zero_dims
from hyperadapters.encoders.vector import VectorEncoder

__all__ = [
    "AttributesEncoder",
    "ConditionEncoder",
    "LookupEncoder",
    "PlainEncoder",
    "StandardisedEncoder",
    "Start",
    "VectorEncoder",
    "build_encoder",
    "prepare",
    "zero_dims",
]
