"""Telling PEFT that the method exists.

PEFT keeps its methods in a closed enum. Extending the enum and then calling PEFT's own
`register_peft_method` is the route that works for saving, loading and `transformers` alike; plain
string keys do not survive `peft_type.value`.
"""

from typing import Any

from peft import PeftType
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.utils.peft_types import register_peft_method

from hyperadapters.tuner.config import METHOD, PEFT_TYPE, HyperAdapterConfig
from hyperadapters.tuner.model import HyperAdapterModel


def register() -> None:
    """Register the method with PEFT; calling it again does nothing.

    Raises:
        RuntimeError: Another package has registered a method of the same name.
    """
    member: Any = extend_enum(PeftType, PEFT_TYPE)
    known = PEFT_TYPE_TO_CONFIG_MAPPING.get(member)
    if known is HyperAdapterConfig:
        return
    if known is not None:
        raise RuntimeError(f"PEFT already has a method {METHOD!r}, from {known.__module__}")
    register_peft_method(name=METHOD, config_cls=HyperAdapterConfig, model_cls=HyperAdapterModel)


def extend_enum(enum: Any, name: str) -> Any:
    """The member `name` of a string enum, added if it is not there yet."""
    if name in enum.__members__:
        return enum[name]
    member = str.__new__(enum, name)
    member._name_ = name
    member._value_ = name
    member._sort_order_ = len(enum._member_names_)
    enum._member_names_.append(name)
    enum._member_map_[name] = member
    enum._value2member_map_[name] = member
    type.__setattr__(enum, name, member)
    return member
