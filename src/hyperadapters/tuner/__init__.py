"""The PEFT method: configuration, model, layer, registration. The only room that knows PEFT."""

from hyperadapters.tuner.calibrate import calibrate, read_inputs, standardise
from hyperadapters.tuner.conditioning import conditioned
from hyperadapters.tuner.config import HyperAdapterConfig
from hyperadapters.tuner.groups import Group
from hyperadapters.tuner.model import HyperAdapterModel, adapter_network
from hyperadapters.tuner.register import register
from hyperadapters.tuner.texts import shared_texts

__all__ = [
    "Group",
    "HyperAdapterConfig",
    "HyperAdapterModel",
    "adapter_network",
    "calibrate",
    "conditioned",
    "read_inputs",
    "register",
    "shared_texts",
    "standardise",
]

register()
