"""What tests of exported adapters have in common."""

from pathlib import Path

import torch

import hyperadapters as ha

ONE = {"annotator_ids": 3}
FILES = ["adapter_config.json", "adapter_model.safetensors"]
PEOPLE = ha.Attributes({"age": ["young", "old"], "country": 5})


def close(got, wanted):
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
