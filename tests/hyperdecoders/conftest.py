"""The oracle as a fixture."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    # By its path: with --import-mode=importlib the tests are no package and on no path.
    path = Path(__file__).with_name("reference.py")
    spec = importlib.util.spec_from_file_location("hyperdecoders_oracle", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["hyperdecoders_oracle"] = module
    spec.loader.exec_module(module)
    return module
