"""Tiny backbones and a mixture; see `toy.py`, which other folders of tests load too."""

import importlib.util
import sys
from pathlib import Path

import pytest


def _load_toy():
    # By its path: with --import-mode=importlib the tests are no package and on no path.
    path = Path(__file__).with_name("toy.py")
    spec = importlib.util.spec_from_file_location("tasks_toy", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["tasks_toy"] = module
    spec.loader.exec_module(module)
    return module


TOY = sys.modules.get("tasks_toy") or _load_toy()


@pytest.fixture(scope="session")
def toy():
    return TOY


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory) -> str:
    """Folder of a T5; a value for `backbone`."""
    return TOY.save_t5(tmp_path_factory.mktemp("t5"))


@pytest.fixture(scope="session")
def tiny_bert2bert(tmp_path_factory) -> str:
    """Folder of an EncoderDecoder; a value for `backbone`."""
    return TOY.save_bert2bert(tmp_path_factory.mktemp("bert2bert"))


@pytest.fixture
def mixture(tmp_path) -> Path:
    """YAML file of `tone` and `colour`."""
    return TOY.write_mixture(tmp_path)


@pytest.fixture(scope="session")
def task_run(tmp_path_factory, tiny_t5) -> Path:
    """Folder of a finished run on all four toy tasks. Copy it before you change it."""
    from hyperadapters.experiments.tasks import fit_tasks

    folder = tmp_path_factory.mktemp("task_run")
    path = TOY.write_mixture(folder, *TOY.DECLARED)
    fit_tasks(path, output=folder / "run", backbone=tiny_t5, **TOY.QUICK)
    return folder / "run"
