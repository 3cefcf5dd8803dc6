"""The zoo of tiny models, and which of them a test is about.

A test that takes `case` runs for every family with its main head and one further head, with
`--slow` with every head; `main_case` for every family with its main head, `export_case` also for
classifiers, `writing_case` for the families that generate.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock

import families_zoo


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    classifiers = [case for case in families_zoo.CASES if case.head == "SEQ_CLS"]
    every_head = metafunc.config.getoption("--slow")
    cases = {
        "case": families_zoo.CASES if every_head else families_zoo.SOME_CASES,
        "main_case": families_zoo.MAIN_CASES,
        "export_case": list(dict.fromkeys([*families_zoo.MAIN_CASES, *classifiers])),
        "writing_case": [case for case in families_zoo.MAIN_CASES if case.writes],
    }
    for name in cases.keys() & set(metafunc.fixturenames):
        metafunc.parametrize(name, cases[name], ids=str)


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> Path:
    """Folder with what this process has saved, and what another one computed after loading it."""
    # Once for all workers of pytest-xdist: they share the parent of their temporary folders.
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder = root / "families-saved"
    with FileLock(root / "families-saved.lock"):
        if not (folder / "done").exists():
            _save_and_load(folder)
            (folder / "done").touch()
    return folder


@torch.no_grad()
def _save_and_load(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    families_zoo.save_all(folder)
    # This process has hashes drawn at random, or by a seed that is not the other one's.
    seed = "2" if os.environ.get("PYTHONHASHSEED") != "2" else "1"
    done = subprocess.run(
        [sys.executable, families_zoo.__file__, folder],
        env={**os.environ, "PYTHONHASHSEED": seed, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
