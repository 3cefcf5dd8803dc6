"""What README and docs say is what the repository holds."""

import re
from pathlib import Path

import pytest

import hyperadapters as ha
from hyperadapters.methods import METHODS, Settings
from hyperadapters.methods.recipes import RECIPES
from hyperadapters.tasks import TASKS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_recipe_and_a_mixture_are_explained(tmp_path):
    page = (ROOT / "docs" / "hyperdecoders.md").read_text(encoding="utf-8")
    assert all(f"`{recipe}`" in page for recipe in RECIPES)
    assert f"the {len(TASKS)} known tasks" in page
    (written,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    for name in ("cola.parquet", "sst2.parquet", "mine.csv", "stories.csv"):
        (tmp_path / name).touch()
    (tmp_path / "mixture.yaml").write_text(written, encoding="utf-8")
    mixture = ha.read_mixture(tmp_path / "mixture.yaml")
    assert mixture.task_names == ("cola", "sst2", "rte", "mine", "stories")


def test_every_method_is_explained():
    for method in METHODS:
        assert f"`{method}`" in README


def test_every_head_and_decision_is_explained():
    page = (ROOT / "docs" / "labels.md").read_text(encoding="utf-8")
    for name in (*Settings.CHOICES["head"], *Settings.CHOICES["decision"]):
        assert f"| `{name}`" in page


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", "docs/adapters.md", "docs/hyperdecoders.md", "docs/labels.md"),
        "docs/metrics.md",
    ],
)
def test_python_examples_compile_and_name_what_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, page, "exec")
        for name in re.findall(r"\bha\.(\w+)", block):
            assert hasattr(ha, name)


def test_the_page_of_metrics_names_them_all():
    from hyperadapters.evaluation import BETTER
    from hyperadapters.tables.submissions import FORMATS

    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    missing = [name for name in (*BETTER, *FORMATS) if f"`{name}`" not in page]
    assert not missing
    for name, better in BETTER.items():
        if better != "neither":
            (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
            assert {"higher": "↑", "lower": "↓"}[better] in row
