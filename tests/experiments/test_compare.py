import json
import shutil

import numpy as np
import pandas as pd
import pytest

import hyperadapters as ha
from hyperadapters.errors import ConfigError, RunError
from hyperadapters.experiments import comparison, comparison_page
from hyperadapters.experiments import load as load_run
from hyperadapters.tables import read_scores
from hyperadapters.training import Progress

METHODS = ["hyperlora", "text-only", "annotator-mode"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, two_kinds, tiny_bert, quick):
    """Folder and outcome of three methods with two seeds. Copy it before you change it."""
    folder = tmp_path_factory.mktemp("compared") / "all"

    def redo(method, seed):
        return f"hyperadapters train x --method {method} --seed {seed} --output 'a & b'"

    options = {"backbone": tiny_bert, "command": "hyperadapters compare x", "redo": redo}
    return folder, ha.compare(two_kinds, METHODS, [0, 3], folder, **options, **quick)


class Cells(Progress):
    """What is said of cells."""

    def __init__(self, stop_in=None):
        self.said, self.stop_in = [], stop_in

    def message(self, text):
        if "/seed-" in text.split(" ")[0]:
            self.said.append(text)

    def step(self, step):
        if self.said and self.said[-1].startswith(self.stop_in or "nothing"):
            raise KeyboardInterrupt


def test_everything_is_there(finished):
    folder, found = finished
    names = {path.name for path in folder.iterdir()}
    files = {
        "compare.json",
        "differences.json",
        "helped_and_hurt.json",
        "scores.json",
        "table.html",
        "table.md",
    }
    assert names == {*METHODS, *files}
    for method in METHODS:
        for seed in (0, 3):
            assert load_run(folder / method / f"seed-{seed}").record.complete
    pd.testing.assert_frame_equal(read_scores(folder / "scores.json"), found.scores)
    assert set(found.scores["method"]) == set(METHODS) and set(found.scores["seed"]) == {0, 3}
    assert json.loads((folder / "compare.json").read_text())["failed"] == {}


def test_cells_are_what_fit_makes(finished, two_kinds, tiny_bert, quick, tmp_path):
    folder, _ = finished
    alone = ha.fit(two_kinds, output=tmp_path / "alone", backbone=tiny_bert, seed=3, **quick)
    cell = load_run(folder / "hyperlora" / "seed-3")
    pd.testing.assert_frame_equal(cell.predictions, alone.predictions)


def test_the_table_holds_means_spreads_and_the_best(finished):
    _, found = finished
    table = found.table
    test = found.scores.query("split == 'test' and slice == 'all'")
    for metric in (*table.metrics, *table.further):
        means = {}
        for method in METHODS:
            values = test.query("method == @method and metric == @metric")["value"]
            cell = table.rows[method].cells[metric]
            assert cell.mean == pytest.approx(values.mean(), nan_ok=True)
            assert cell.spread == pytest.approx(values.std(), nan_ok=True)
            means[method] = values.mean()
        known = {m: v for m, v in means.items() if not np.isnan(v)}
        best = [m for m in METHODS if table.rows[m].cells[metric].is_best]
        if ha.evaluation.BETTER[metric] == "neither":
            assert not best
            continue
        choose = max if ha.evaluation.BETTER[metric] == "higher" else min
        assert best == ([choose(known, key=known.get)] if known else [])
    assert table.rows["hyperlora"].parameters > table.rows["text-only"].parameters > 0


def test_what_may_be_as_good_is_what_the_differences_say(finished):
    _, found = finished
    for row in found.differences.to_dict("records"):
        cell = found.table.rows[row["method"]].cells[row["metric"]]
        assert cell.is_near_best == (row["low"] <= 0 <= row["high"])
        assert found.table.rows[row["baseline"]].cells[row["metric"]].is_best
    # In both tables every cell that is neither best nor marked is worse than by chance.
    table = found.table
    cells = [row.cells for row in table.rows.values()]
    compared = {m for m in (*table.metrics, *table.further) if any(of[m].is_best for of in cells)}
    assert set(found.differences["metric"]) == compared
    assert compared >= {"nll", "annotator_macro_f1", "soft_jensen_shannon", "majority_macro_f1"}


def test_helped_and_hurt_are_shares_of_people(finished):
    _, found = finished
    row = found.table.rows["hyperlora"]
    assert set(row.changed) == {"text-only"}
    helped, hurt = row.changed["text-only"]
    predictions = pd.concat(
        [
            load_run(finished[0] / m / f"seed-{s}").predictions.query("split == 'test'")
            for m in ("hyperlora", "text-only")
            for s in (0, 3)
        ]
    )
    given = predictions["label"].astype(str)
    predictions["nll"] = [
        -np.log(row["p_" + y]) for y, (_, row) in zip(given, predictions.iterrows(), strict=True)
    ]
    people = predictions.groupby(["annotator", "method"])["nll"].mean().unstack()
    rows = predictions.query("method == 'hyperlora' and seed == 0").groupby("annotator").size()
    change = (people["hyperlora"] - people["text-only"])[rows >= comparison.LEAST_ROWS]
    assert 0 < len(change) < len(people)
    assert helped == pytest.approx((change < -1e-9).mean())
    assert hurt == pytest.approx((change > 1e-9).mean())
    for name in ("differences", "helped_and_hurt"):
        assert "NaN" not in (finished[0] / f"{name}.json").read_text()
    kept = json.loads((finished[0] / "helped_and_hurt.json").read_text())
    assert {(r["method"], r["metric"]) for r in kept} == {
        (m, metric) for m in ("hyperlora", "annotator-mode") for metric in ("nll", "accuracy")
    }
    assert kept[0]["better"] == helped and kept[0]["better_low"] <= helped


def test_markdown_and_page(finished):
    folder, found = finished
    text = (folder / "table.md").read_text(encoding="utf-8")
    assert text.startswith("| method | nll ↓ | accuracy ↑ | macro-F1 ↑ |")
    (name,) = [n for n, row in found.table.rows.items() if row.cells["nll"].is_best]
    best = found.table.rows[name].cells["nll"].text
    assert f"| {name} | **{best}** |" in text
    near = [n for n, row in found.table.rows.items() if row.cells["nll"].is_near_best]
    assert all(f"| {n} | {found.table.rows[n].cells['nll'].text} ≈ |" in text for n in near)
    assert "made by `hyperadapters compare x`" in text and "--method text-only --seed 3" in text
    assert "helped / hurt against text-only" in text
    assert "Further metrics:" in text and "| method | annotator macro-F1, by rows ↑ |" in text
    page = (folder / "table.html").read_text(encoding="utf-8")
    mean, spread = best.split(" ± ")
    assert f"<b>{mean} <small>± {spread}</small></b>" in page and "a &amp; b" in page
    assert "http" not in page and "<script" not in page
    # It is made of what the files hold.
    record = json.loads((folder / "compare.json").read_text())
    assert comparison_page.markdown(found.table, record) == text


def test_what_is_finished_is_kept_and_more_may_be_asked(
    finished, two_kinds, tiny_bert, quick, tmp_path
):
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder)
    before = (folder / "table.md").read_text(encoding="utf-8")
    seen = Cells()
    again = {"backbone": tiny_bert, "resume": True, "progress": seen, **quick}
    found = ha.compare(two_kinds, [*METHODS, "global-mode"], [0, 3], folder, **again)
    assert len([text for text in seen.said if text.endswith("is finished")]) == 6
    assert "global-mode/seed-3 (2 of 2)" in seen.said
    assert list(found.table.rows) == [*METHODS, "global-mode"]
    first = before.splitlines()[2]
    assert (
        found.folder.table.read_text(encoding="utf-8").splitlines()[2].split("|")[2]
        == (first.split("|")[2])
    )


def test_what_is_not_named_again_stays_in_the_table(
    finished, two_kinds, tiny_bert, quick, tmp_path
):
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder)
    (folder / "annotator-mode" / "seed-3" / "run.json").unlink()  # is not finished any more
    seen = Cells()
    again = {"backbone": tiny_bert, "resume": True, "progress": seen, "command": "more", **quick}
    found = ha.compare(two_kinds, ["global-mode"], [3], folder, **again)
    assert list(found.table.rows) == ["global-mode", *METHODS]
    seeds = {name: row.seeds for name, row in found.table.rows.items()}
    assert seeds == {"global-mode": [3], **{m: [0, 3] for m in METHODS}, "annotator-mode": [0]}
    columns = ["method", "seed", "split", "slice", "metric", "value"]
    rows = "method != 'global-mode' and not (method == 'annotator-mode' and seed == 3)"
    wanted = finished[1].scores.query(rows)[columns].reset_index(drop=True)
    kept = read_scores(folder / "scores.json").query("method != 'global-mode'")[columns]
    order = ["seed", "method"]
    pd.testing.assert_frame_equal(
        kept.sort_values(order, kind="stable").reset_index(drop=True),
        wanted.sort_values(order, kind="stable").reset_index(drop=True),
    )
    record = json.loads((folder / "compare.json").read_text())
    assert (record["methods"], record["seeds"]) == (["global-mode", *METHODS], [3, 0])
    assert "--method text-only --seed 0" in record["cells"]["text-only/seed-0"]
    assert "annotator-mode/seed-3" not in record["cells"]
    # What was made in another way stands beside it no more.
    changed = {**again, "r": 3}
    found = ha.compare(two_kinds, ["global-mode"], [0], folder, **changed)
    assert "hyperlora" not in found.table.rows
    (told,) = [text for text in seen.said if text.startswith("hyperlora/seed-0 is left out")]
    assert "was run with another r" in told
    found = ha.compare(two_kinds, ["global-mode"], [3], folder, **again)
    assert set(found.table.rows["hyperlora"].seeds) == {0, 3}


def test_settings_of_one_method_stay_when_others_are_added(two_kinds, tiny_bert, quick, tmp_path):
    given = {"backbone": tiny_bert, **quick}
    own = {"intercept": {"epochs": 1}}
    ha.compare(two_kinds, ["intercept"], [0], tmp_path / "all", settings_of=own, **given)
    found = ha.compare(two_kinds, ["global-mode"], [0], tmp_path / "all", resume=True, **given)
    assert list(found.table.rows) == ["global-mode", "intercept"]
    assert json.loads(found.folder.record.read_text())["settings_of"] == own


def test_a_stopped_comparison_goes_on(two_kinds, tiny_bert, quick, tmp_path, finished):
    folder, methods = tmp_path / "all", ["text-only", "annotator-mode"]
    arguments = {"backbone": tiny_bert, **quick}
    with pytest.raises(KeyboardInterrupt):
        stopped = Cells("text-only/seed-3")
        ha.compare(two_kinds, methods, [0, 3], folder, progress=stopped, **arguments)
    found = ha.compare(two_kinds, methods, [0, 3], folder, resume=True, **arguments)
    columns = ["method", "seed", "split", "slice", "metric", "value"]
    wanted = finished[1].scores.query("method in @methods")[columns]
    got = found.scores[columns]
    pd.testing.assert_frame_equal(got, wanted.reset_index(drop=True))


@pytest.mark.slow
def test_several_processes_give_the_same(two_kinds, tiny_bert, quick, tmp_path, finished):
    seen = Cells()
    found = ha.compare(
        *(two_kinds, ["annotator-mode", "global-mode"], [0], tmp_path / "two"),
        **{"backbone": tiny_bert, "jobs": 2, "progress": seen, **quick},
    )
    assert len(seen.said) == 2 and all("is finished" in text for text in seen.said)
    assert not found.failed
    columns = ["method", "seed", "split", "slice", "metric", "value"]
    wanted = finished[1].scores.query("method == 'annotator-mode' and seed == 0")[columns]
    got = found.scores.query("method == 'annotator-mode'")[columns]
    pd.testing.assert_frame_equal(got.reset_index(drop=True), wanted.reset_index(drop=True))


def test_without_a_test_split_dev_is_shown(finished):
    folder, found = finished
    runs = [load_run(folder / method / "seed-0") for method in METHODS]
    predictions = pd.concat([run.predictions for run in runs]).query("split == 'dev'")
    scores = found.scores.query("split == 'dev' and seed == 0")
    table, _, _ = comparison.tabulate(scores, predictions, [run.record for run in runs])
    assert table.split == "dev" and list(table.rows) == METHODS
    record = json.loads((folder / "compare.json").read_text())
    assert "Split dev; mean" in comparison_page.markdown(table, record)


def test_a_metric_that_a_run_of_an_earlier_version_lacks_is_left_out(finished):
    folder, found = finished
    runs = [load_run(folder / m / f"seed-{seed}") for m in METHODS for seed in (0, 3)]
    predictions = pd.concat([run.predictions for run in runs])
    records = [run.record for run in runs]
    of_one = (found.scores["method"] == METHODS[0]) & (found.scores["seed"] == 3)
    lacks = of_one & (found.scores["metric"] == "ece")
    table, _, _ = comparison.tabulate(found.scores[~lacks], predictions, records)
    assert "ece" in found.table.metrics
    assert set(found.table.metrics) - set(table.metrics) == {"ece"}


def test_a_cell_that_fails_does_not_stop_the_others(
    two_kinds, tiny_bert, quick, tmp_path, monkeypatch
):
    from hyperadapters.experiments import compare as _  # noqa: F401 - the module is loaded

    module = __import__("sys").modules["hyperadapters.experiments.compare"]
    real = module.fit_plan

    def sometimes(plan, output, **options):
        if plan.method.name == "text-only":
            raise MemoryError("no memory left\nsecond line")
        return real(plan, output, **options)

    monkeypatch.setattr(module, "fit_plan", sometimes)
    arguments = (two_kinds, ["text-only", "annotator-mode"], [0], tmp_path / "all")
    with pytest.raises(RunError, match=r"1 of 2 cells failed.*text-only/seed-0: no memory left"):
        ha.compare(*arguments, backbone=tiny_bert, **quick)
    folder = tmp_path / "all"
    assert "failed: text-only/seed-0: no memory left" in (folder / "table.md").read_text("utf-8")
    assert "MemoryError" in (folder / "text-only/seed-0/error.txt").read_text("utf-8")
    monkeypatch.setattr(module, "fit_plan", real)
    shutil.rmtree(folder / "text-only")
    found = ha.compare(*arguments, backbone=tiny_bert, resume=True, **quick)
    assert not found.failed and len(found.table.rows) == 2


def test_what_is_refused_leaves_nothing_behind(two_kinds, tiny_bert, quick, tmp_path):
    folder = tmp_path / "none"
    for methods, seeds, options, message in (
        ([], [0], {}, "at least one method"),
        (["hyperlora"], [], {}, "at least one seed"),
        (["hyperlora", "hyperlora"], [0], {}, "method hyperlora is named twice"),
        (["hyperlorra"], [0], {}, "did you mean 'hyperlora'"),
        (["hyperlora"], [-1], {}, "seed must be"),
        (["hyperlora"], [0], {"jobs": 0}, "jobs must be at least 1"),
        (["hyperlora"], [0], {"epochz": 1}, "epochz"),
    ):
        with pytest.raises(ConfigError, match=message):
            ha.compare(two_kinds, methods, seeds, folder, backbone=tiny_bert, **options)
        assert not folder.exists()


def test_another_comparison_is_not_written_over(finished, two_kinds, tiny_bert, quick, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished[0], folder)
    with pytest.raises(RunError, match="exists"):
        ha.compare(two_kinds, METHODS, [0, 3], folder, backbone=tiny_bert, **quick)
    changed = {**quick, "r": 3}
    with pytest.raises(RunError, match=r"was run with another r$"):
        ha.compare(two_kinds, METHODS, [0], folder, backbone=tiny_bert, resume=True, **changed)


def test_settings_of_one_method_are_its_own(two_kinds, tiny_bert, quick, tmp_path):
    own = {"text-only": {"epochs": 1}}
    found = ha.compare(
        *(two_kinds, ["text-only", "intercept"], [0], tmp_path / "all"),
        **{"backbone": tiny_bert, "settings_of": own, **quick},
    )
    of = {name: load_run(found.folder.cell(name, 0)).record.settings for name in found.table.rows}
    assert (of["text-only"]["epochs"], of["intercept"]["epochs"]) == (1, quick["epochs"])
    assert "settings of text-only: epochs=1" in found.folder.table.read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="settings of majority, which is not among the methods"):
        ha.compare(
            two_kinds, ["text-only"], [0], tmp_path / "more", settings_of={"majority": {"r": 2}}
        )
