"""Telling PEFT that the method exists."""

from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.utils.peft_types import register_peft_method

from hyperadapters.tuner.config import HyperAdapterConfig
from hyperadapters.tuner.model import HyperAdapterModel
from hyperadapters.tuner.peft_type import METHOD, PEFT_TYPE


def register() -> None:
    """Register the method with PEFT; calling it again does nothing.

    Raises:
        RuntimeError: Another package has registered a method of the same name.
    """
    known = PEFT_TYPE_TO_CONFIG_MAPPING.get(PEFT_TYPE)
    if known is HyperAdapterConfig:
        return
    if known is not None:
        raise RuntimeError(f"PEFT already has a method {METHOD!r}, from {known.__module__}")
    register_peft_method(name=METHOD, config_cls=HyperAdapterConfig, model_cls=HyperAdapterModel)
