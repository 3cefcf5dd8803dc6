import io
from types import SimpleNamespace

import pandas as pd
import pytest
from rich.console import Console

from hyperadapters.cli.demo import _score_table
from hyperadapters.data.demo import load_demo
from hyperadapters.experiments import demo, fit


@pytest.fixture
def small_demo(monkeypatch, tiny_bert, quick):
    monkeypatch.setattr(demo, "METHODS", ("hyperlora", "global-mode"))
    monkeypatch.setattr(demo, "load_demo", lambda: load_demo(ratings_per_text=1))
    monkeypatch.setattr(
        demo, "fit", lambda ratings, **kw: fit(ratings, **{"backbone": tiny_bert, **quick, **kw})
    )


def test_what_the_demo_shows(command, small_demo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("demo", "--output", "mine")
    assert done.status == 0, done.err
    out = " ".join(done.out.split())
    assert out.startswith("SIMULATED DATA: ")
    assert "Perspectives recovered:" in out
    for name in ("hyperlora", "global-mode", "minority", "nll"):
        assert name in out
    assert out.count("by the rule") == 9
    for person in demo.PEOPLE:
        assert out.count(person) == 3
    typed = done.out.replace("\\\n", " ").splitlines()
    lines = [line.split() for line in typed if "  hyperadapters " in line]
    assert [line[1] for line in lines] == ["jury", "predict", "serve", "report"]
    for line in lines[:2]:  # what it says can be typed
        assert command(*line[1:]).status == 0
    assert len(pd.read_csv("verdicts.csv")) == len(pd.read_csv("mine/comments.csv")) > 0
    assert (tmp_path / "mine" / "hyperlora" / "adapter_model.safetensors").exists()


def test_the_next_free_name(tmp_path):
    from hyperadapters.cli.demo import _free_name

    assert _free_name(tmp_path / "demo-run").name == "demo-run"
    (tmp_path / "demo-run").mkdir()
    assert _free_name(tmp_path / "demo-run").name == "demo-run-2"
    (tmp_path / "demo-run-2").mkdir()
    assert _free_name(tmp_path / "demo-run").name == "demo-run-3"


def test_an_existing_output(refused, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "exists" in refused("demo", "--output", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
def test_the_whole_demo(command, tmp_path):
    done = command("demo", "--output", tmp_path / "demo")
    assert done.status == 0, done.err
    assert "Perspectives recovered" in done.out


def test_no_number_of_the_table_is_cut_on_a_narrow_terminal():
    columns = ("accuracy", "macro_f1", "annotator_macro_f1", "nll", "minority_accuracy")
    scores = pd.DataFrame(0.793, index=list(demo.METHODS), columns=list(columns))
    recovery = pd.DataFrame({"correlation": 0.634}, index=scores.index)
    console = Console(width=80, file=io.StringIO())
    console.print(_score_table(SimpleNamespace(scores=scores, recovery=recovery)))
    shown = console.file.getvalue()
    assert "…" not in shown and "recovered" in shown and "annotator-mode" in shown
    assert shown.count("0.793") == scores.size
