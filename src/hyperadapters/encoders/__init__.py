"""Condition → vector."""

from hyperadapters.encoders.lookup import LookupEncoder

__all__ = ["LookupEncoder"]
