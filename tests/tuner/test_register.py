import copy
import enum
import pickle

import pytest
from peft import PeftType
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING

from hyperadapters.tuner import HyperAdapterConfig, HyperAdapterModel, register
from hyperadapters.tuner.peft_type import extend_enum


def test_the_method_is_a_member_like_any_other():
    member = PeftType("HYPERADAPTER")
    assert member in list(PeftType) and member is PeftType["HYPERADAPTER"]
    assert (member.name, member.value) == ("HYPERADAPTER", "HYPERADAPTER")
    assert pickle.loads(pickle.dumps(member)) is member and copy.deepcopy(member) is member
    assert PEFT_TYPE_TO_CONFIG_MAPPING[member] is HyperAdapterConfig
    assert PEFT_TYPE_TO_TUNER_MAPPING[member] is HyperAdapterModel


def test_registering_again_does_nothing():
    before = list(PeftType), dict(PEFT_TYPE_TO_CONFIG_MAPPING)
    register()
    assert (list(PeftType), dict(PEFT_TYPE_TO_CONFIG_MAPPING)) == before


def test_a_method_of_the_same_name_is_not_replaced(monkeypatch):
    monkeypatch.setitem(PEFT_TYPE_TO_CONFIG_MAPPING, PeftType("HYPERADAPTER"), dict)
    with pytest.raises(RuntimeError, match="already has a method 'hyperadapter', from builtins"):
        register()


def test_extending_an_enum():
    class Colour(str, enum.Enum):  # noqa: UP042 - as PEFT does
        RED = "RED"

    blue = extend_enum(Colour, "BLUE")
    assert list(Colour) == [Colour.RED, blue] and Colour("BLUE") is blue is Colour["BLUE"]
    assert extend_enum(Colour, "BLUE") is blue and len(Colour) == 2
    assert blue == "BLUE" and isinstance(blue, Colour)
