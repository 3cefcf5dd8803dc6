"""The method as a member of PEFT's closed enum of methods.

String keys do not survive `peft_type.value`, which PEFT and Transformers read; a member does.
"""

from typing import Any

from peft import PeftType

METHOD = "hyperadapter"


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


PEFT_TYPE: Any = extend_enum(PeftType, METHOD.upper())
