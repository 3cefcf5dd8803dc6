"""The fixtures of `tests/experiments/tasks`."""

import importlib.util
import sys
from pathlib import Path


def _load():
    # By its path: with --import-mode=importlib the tests are no package and on no path.
    path = Path(__file__).parents[2] / "experiments" / "tasks" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tasks_fixtures", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["tasks_fixtures"] = module
    spec.loader.exec_module(module)
    return module


_FIXTURES = sys.modules.get("tasks_fixtures") or _load()
toy, tiny_t5, tiny_bert2bert = _FIXTURES.toy, _FIXTURES.tiny_t5, _FIXTURES.tiny_bert2bert
mixture, task_run = _FIXTURES.mixture, _FIXTURES.task_run
