import json
import shutil

import numpy as np
import pandas as pd
import pytest

from hyperadapters.errors import ConfigError, RunError
from hyperadapters.experiments.tasks import compare, compare_tasks, load_tasks
from hyperadapters.tables import read_scores
from hyperadapters.training import Progress

RECIPES = ["hyperdecoder", "single-adapter"]
# Enough for scores that are not zero.
LEARN = {"steps": 60, "evaluate_every": 20, "encoder_width": 16, "decoder_width": 16}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, toy, tiny_t5):
    """Folder and outcome of two recipes with two seeds. Copy it before you change it."""
    folder = tmp_path_factory.mktemp("compared")
    path = toy.write_mixture(folder)
    arguments = {
        "backbone": tiny_t5,
        "command": "hyperadapters tasks compare x",
        **toy.QUICK,
        **LEARN,
    }
    return folder, compare_tasks(path, RECIPES, [0, 3], folder / "all", **arguments)


@pytest.fixture
def copied(finished, tmp_path):
    """The mixture and a folder that may be changed."""
    shutil.copytree(finished[0], tmp_path / "copy")
    return tmp_path / "copy"


class Cells(Progress):
    """Which cells are run, and which were there."""

    def __init__(self, stop_in=None):
        self.run, self.kept, self.failed, self.stop_in = [], [], [], stop_in

    def message(self, text):
        name = text.split(" ")[0]
        if "/seed-" not in name:
            return
        kind = (
            self.kept if "is finished" in text else self.failed if " failed" in text else self.run
        )
        kind.append(name)

    def step(self, step):
        if self.run and self.run[-1] == self.stop_in and step.step == 4:
            raise KeyboardInterrupt


def again(folder, tiny_t5, toy, recipes=RECIPES, seeds=(0, 3), progress=None, **changes):
    arguments = {"backbone": tiny_t5, "resume": True, **toy.QUICK, **LEARN, **changes}
    path = folder / "mixture.yaml"
    return compare_tasks(path, recipes, seeds, folder / "all", progress=progress, **arguments)


def test_every_cell_is_a_run(finished):
    folder, found = finished
    for recipe in RECIPES:
        for seed in (0, 3):
            run = load_tasks(folder / "all" / recipe / f"seed-{seed}")
            assert (run.record.recipe, run.record.seed) == (recipe, seed)
            mine = found.scores.query(f"method == '{recipe}' and seed == {seed}")
            assert mine["value"].tolist() == run.scores["value"].tolist()
    assert len(found.scores) == 4 * len(run.scores)
    assert read_scores(folder / "all" / "scores.json").equals(found.scores)
    record = json.loads((folder / "all" / "compare.json").read_text())
    assert (record["recipes"], record["seeds"], record["failed"]) == (RECIPES, [0, 3], {})


def test_the_table(finished):
    folder, found = finished
    table = (folder / "all" / "table.md").read_text()
    head, rule, *rows = [line for line in table.splitlines() if line.startswith("|")]
    wanted = ["recipe", "tone (accuracy)", "colour (accuracy)", "average"]
    assert [cell.strip() for cell in head.strip("|").split("|")] == [
        *wanted,
        *["trainable parameters", "seconds"],
    ]
    assert rule.count("---:") == 5
    for recipe, row in zip(RECIPES, rows, strict=True):
        cells = [cell.strip().strip("*") for cell in row.strip("|").split("|")]
        chosen = found.scores.query(f"method == '{recipe}' and split == 'test'")
        for column, cell in zip(("tone", "colour", "all"), cells[1:4], strict=True):
            values = 100 * chosen.query(f"slice == '{column}'")["value"].to_numpy()
            assert cell == f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"
        assert cells[4] == f"{found.summary.parameters[recipe]:,}"
    assert "**" in table
    for part in ("seeds: 0, 3", "`hyperadapters tasks compare x`", "python ", "steps=60"):
        assert part in table
    assert "Split test" in table and "failed" not in table


def test_finished_cells_are_kept(copied, tiny_t5, toy):
    seen, before = Cells(), (copied / "all" / "scores.json").read_bytes()
    stamp = (copied / "all" / "hyperdecoder" / "seed-0" / "run.json").stat().st_mtime_ns
    again(copied, tiny_t5, toy, progress=seen)
    assert not seen.run and len(seen.kept) == 4
    assert (copied / "all" / "scores.json").read_bytes() == before
    assert (copied / "all" / "hyperdecoder" / "seed-0" / "run.json").stat().st_mtime_ns == stamp


@pytest.mark.slow
def test_a_finished_cell_without_scores(copied, tiny_t5, toy):
    cell = copied / "all" / "hyperdecoder" / "seed-0"
    (cell / "scores.json").unlink()
    with pytest.raises(RunError, match=r"seed-0 is complete but has no scores\.json; remove"):
        again(copied, tiny_t5, toy, ["hyperdecoder"], [0])


def test_recipes_and_seeds_may_be_added(copied, tiny_t5, toy):
    seen = Cells()
    found = again(copied, tiny_t5, toy, [*RECIPES, "hyperformer"], [0, 3, 4], progress=seen)
    assert seen.run == [
        *["hyperformer/seed-0", "hyperformer/seed-3"],
        *[f"{name}/seed-4" for name in (*RECIPES, "hyperformer")],
    ]
    assert set(found.scores["method"]) == {*RECIPES, "hyperformer"}
    assert found.summary.seeds == {name: [0, 3, 4] for name in (*RECIPES, "hyperformer")}


def test_what_is_not_named_again_stays_in_the_table(finished, copied, tiny_t5, toy, monkeypatch):
    (copied / "all" / RECIPES[1] / "seed-3" / "run.json").unlink()  # is not finished any more
    seen, said = Cells(), []
    monkeypatch.setattr(seen, "message", said.append)
    found = again(copied, tiny_t5, toy, [RECIPES[0]], [0], progress=seen)
    assert found.summary.seeds == {RECIPES[0]: [0, 3], RECIPES[1]: [0]}
    cells = f"not (method == '{RECIPES[1]}' and seed == 3)"
    columns = ["method", "seed", "split", "slice", "metric"]
    wanted, kept = (
        scores.set_index(columns)["value"].sort_index()
        for scores in (finished[1].scores.query(cells), read_scores(found.folder.scores))
    )
    pd.testing.assert_series_equal(kept, wanted)
    record = json.loads(found.folder.record.read_text())
    assert (record["recipes"], record["seeds"]) == (RECIPES, [0, 3])
    assert f"{RECIPES[0]}/seed-3 (2 of 3) is finished" in said
    # What was made in another way stands beside it no more.
    found = again(copied, tiny_t5, toy, ["adapter-per-task"], [0], progress=seen, steps=2)
    assert list(found.summary.seeds) == ["adapter-per-task"]
    (told,) = [text for text in said if text.startswith(f"{RECIPES[0]}/seed-0 is left out")]
    assert "was run with another" in told and "steps" in told


@pytest.mark.slow
def test_a_stopped_comparison_goes_on_where_it_was(finished, toy, tiny_t5, tmp_path, monkeypatch):
    from hyperadapters.training.tasks import trainer

    monkeypatch.setattr(trainer, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    path, seen = toy.write_mixture(tmp_path), Cells(stop_in="hyperdecoder/seed-3")
    arguments = {"backbone": tiny_t5, **toy.QUICK, **LEARN}
    with pytest.raises(KeyboardInterrupt):
        compare_tasks(path, RECIPES, [0, 3], tmp_path / "all", progress=seen, **arguments)
    with pytest.raises(RunError, match="exists"):
        compare_tasks(path, RECIPES, [0, 3], tmp_path / "all", **arguments)
    seen = Cells()
    found = again(tmp_path, tiny_t5, toy, progress=seen)
    assert seen.kept == [f"{name}/seed-0" for name in RECIPES]
    assert found.scores["value"].equals(finished[1].scores["value"])


def test_a_cell_that_fails_is_named_and_the_others_are_kept(toy, tiny_t5, tmp_path, monkeypatch):
    path, real = toy.write_mixture(tmp_path), compare.fit_data

    def broken(data, plan, output, **keywords):
        if (plan.recipe, plan.seed) == ("hyperdecoder", 3):
            output.mkdir(parents=True)
            raise MemoryError("not enough of it\nand more")
        return real(data, plan, output, **keywords)

    seen = Cells()
    with monkeypatch.context() as patch:
        patch.setattr(compare, "fit_data", broken)
        message = (
            r"1 of 4 cells failed, the others are in .*table\.md: "
            r"hyperdecoder/seed-3: not enough of it$"
        )
        with pytest.raises(RunError, match=message):
            compare_tasks(
                path,
                RECIPES,
                [0, 3],
                tmp_path / "all",
                backbone=tiny_t5,
                progress=seen,
                **toy.QUICK,
            )
    cell = tmp_path / "all" / "hyperdecoder" / "seed-3"
    assert "MemoryError" in (cell / "error.txt").read_text()
    assert seen.run[-1] == "single-adapter/seed-3" and seen.failed == ["hyperdecoder/seed-3"]
    table = (tmp_path / "all" / "table.md").read_text()
    assert "failed: hyperdecoder/seed-3: not enough of it" in table
    assert "hyperdecoder: 0; single-adapter: 0, 3" in table
    (cell / "error.txt").unlink()
    found = again(tmp_path, tiny_t5, toy, **toy.QUICK)
    assert not found.failed and found.summary.seeds["hyperdecoder"] == [0, 3]
    assert "failed" not in (tmp_path / "all" / "table.md").read_text()


def test_an_error_file_does_not_stop_the_next_try(toy, tiny_t5, tmp_path, monkeypatch):
    path, real = toy.write_mixture(tmp_path, "tone"), compare.fit_data

    def broken(*arguments, **keywords):
        real(*arguments, **keywords)
        raise ValueError("late")

    with monkeypatch.context() as patch:
        patch.setattr(compare, "fit_data", broken)
        with pytest.raises(RunError, match="every cell failed: hyperdecoder/seed-0: late"):
            compare_tasks(
                path,
                ["hyperdecoder"],
                [0],
                tmp_path / "all",
                backbone=tiny_t5,
                **{**toy.QUICK, **LEARN},
            )
    assert again(tmp_path, tiny_t5, toy, ["hyperdecoder"], [0]).scores["value"].notna().all()


def test_a_cell_that_fails_alike_twice(toy, tiny_t5, tmp_path):
    """Divergence is in the numbers, so that another try ends the same way."""
    path = toy.write_mixture(tmp_path, "tone")
    settings = {**toy.QUICK, "learning_rate": 1e30, "max_grad_norm": 1e30}
    for resume in (False, True):
        with pytest.raises(RunError, match="full-finetuning/seed-0: training diverged at step"):
            compare_tasks(
                path,
                ["full-finetuning"],
                [0],
                tmp_path / "all",
                backbone=tiny_t5,
                resume=resume,
                **settings,
            )


@pytest.mark.parametrize(
    ("recipes", "seeds", "changes", "message"),
    [
        (["hyperdecoder", "hyperform"], [0], {}, "did you mean hyperformer"),
        (["hyperdecoder"], [0, 0], {}, "seed 0 is named twice"),
        (["hyperformer"] * 2, [0], {}, "recipe hyperformer is named twice"),
        ([], [0], {}, "name at least one recipe"),
        (["hyperdecoder"], [], {}, "name at least one seed"),
        (["hyperdecoder"], [-1], {}, "seed must be from 0"),
        (["hyperdecoder"], [0], {"step": 3}, "did you mean steps"),
        (["hyperdecoder"], [0], {"backbone": "no-such"}, "'no-such' cannot be loaded"),
        (["hyperdecoder"], [0], {"encoder": "full"}, "hyperdecoder: encoder and decoder"),
        (["hyperformer"], [0], {"conditioning": "shuffled"}, "hyperformer: conditioning=shuffled"),
        (["full-finetuning"], [0], {"conditioning": "constant"}, "written from the input"),
    ],
)
def test_a_mistake_leaves_nothing_behind(recipes, seeds, changes, message, toy, tiny_t5, tmp_path):
    path = toy.write_mixture(tmp_path)
    arguments = {"backbone": tiny_t5, **toy.QUICK, **changes}
    with pytest.raises(ConfigError, match=message):
        compare_tasks(path, recipes, seeds, tmp_path / "all", **arguments)
    assert not (tmp_path / "all").exists()


def test_only_the_same_comparison_is_resumed(copied, tiny_t5, toy):
    with pytest.raises(RunError, match="seed-0 was run with another steps"):
        again(copied, tiny_t5, toy, steps=7)
    toy.tone(seed=9).to_csv(copied / "tone.csv", index=False)
    with pytest.raises(RunError, match="was run with another data"):
        again(copied, tiny_t5, toy)


def test_a_folder_of_something_else(toy, tiny_t5, tmp_path):
    path = toy.write_mixture(tmp_path)
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "thesis.txt").write_text("mine")
    for resume in (True, False):
        with pytest.raises(RunError, match="exists; name another output"):
            compare_tasks(
                path, RECIPES, [0], tmp_path / "all", backbone=tiny_t5, resume=resume, **toy.QUICK
            )
    assert [file.name for file in (tmp_path / "all").iterdir()] == ["thesis.txt"]


def test_seeds_do_matter(finished):
    folder = finished[1].folder.path / "hyperdecoder"
    files = [folder / f"seed-{seed}" / "predictions.parquet" for seed in (0, 3)]
    by_seed = [pd.read_parquet(file)["nll"].to_numpy() for file in files]
    assert not np.array_equal(*by_seed, equal_nan=True)
