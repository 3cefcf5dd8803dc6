"""The mixtures of the benchmarks can be read, and their arms are recipes with known settings."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

import hyperadapters as ha
from hyperadapters.methods.recipes import find_recipe

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_of_tasks", FOLDER / "tasks.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted((FOLDER / "mixtures").glob("*.yaml")), ids=lambda p: p.stem)
def test_mixtures(path, tmp_path):
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"\w+\.parquet", text):
        (tmp_path / name).touch()
    (tmp_path / path.name).write_text(text, encoding="utf-8")
    assert ha.read_mixture(tmp_path / path.name).task_names


def test_budgets_and_arms(benchmark):
    for mixture in benchmark.MIXTURES.values():
        for name in mixture.arms:
            arm = benchmark.ALL_ARMS[name]
            find_recipe(arm.recipe).settings.changed({**mixture.settings, **arm.settings})


def test_the_table_of_beams_is_that_of_its_results():
    spec = importlib.util.spec_from_file_location("benchmark_of_beams", FOLDER / "beams.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    record = json.loads(module.RESULTS.read_text(encoding="utf-8"))
    assert module.TABLE.read_text(encoding="utf-8") == module.table(record)
