"""The zoo of tiny models, and which of them a test is about.

A test that takes `case` runs for every family with every head, `main_case` for every family with
its main head, `export_case` also for classifiers, `writing_case` for the families that generate.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from filelock import FileLock


def _load_zoo() -> ModuleType:
    # By its path: with --import-mode=importlib the tests are no package and on no path.
    path = Path(__file__).with_name("zoo.py")
    spec = importlib.util.spec_from_file_location("families_zoo", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["families_zoo"] = module
    spec.loader.exec_module(module)
    return module


ZOO = _load_zoo()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    classifiers = [case for case in ZOO.CASES if case.head == "SEQ_CLS"]
    cases = {
        "case": ZOO.CASES,
        "main_case": ZOO.MAIN_CASES,
        "export_case": list(dict.fromkeys([*ZOO.MAIN_CASES, *classifiers])),
        "writing_case": [case for case in ZOO.MAIN_CASES if case.writes],
    }
    for name in cases.keys() & set(metafunc.fixturenames):
        metafunc.parametrize(name, cases[name], ids=str)


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def zoo() -> ModuleType:
    return ZOO


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> Path:
    """Folder with what one process has saved, and what another one computed after loading it."""
    # Once for all workers of pytest-xdist: they share the parent of their temporary folders.
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder = root / "families-saved"
    with FileLock(root / "families-saved.lock"):
        if not (folder / "done").exists():
            _save_and_load(folder)
            (folder / "done").touch()
    return folder


def _save_and_load(folder: Path) -> None:
    for seed, task in (("1", "save"), ("2", "load")):
        done = subprocess.run(
            [sys.executable, ZOO.__file__, task, folder],
            env={**os.environ, "PYTHONHASHSEED": seed, "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
