"""Benchmarks run on what is tiny, and their tables are those of their results; no test is on time.

The mixtures can be read, and their arms are recipes with known settings.
"""

import importlib
import importlib.util
import json
import re
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score
from transformers import T5Config

import hyperadapters as ha
from hyperadapters.methods.recipes import find_recipe

FOLDER = Path(__file__).parents[1] / "benchmarks"


def module_of(name):
    """A benchmark that is a file."""
    spec = importlib.util.spec_from_file_location(f"benchmark_of_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def benchmark():
    return module_of("tasks")


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


@pytest.mark.parametrize(
    "name",
    [
        *["ablations", "adapt", "beams", "calibration", "embeddings", "layers"],
        *["tasks", "thresholds"],
    ],
)
def test_the_table_is_that_of_its_results(name):
    module = module_of(name)
    if not module.RESULTS.exists():
        pytest.skip("not measured yet")
    record = json.loads(module.RESULTS.read_text(encoding="utf-8"))
    assert module.TABLE.read_text(encoding="utf-8") == module.table(record)


def test_the_page_about_new_people_has_the_same_numbers():
    module = module_of("adapt")
    found = json.loads(module.RESULTS.read_text(encoding="utf-8"))
    assert module.short(found) in module.PAGE.read_text(encoding="utf-8")


def test_the_tables_of_methods_are_those_of_their_results():
    module = module_of("perspectives")
    found = json.loads(module.RESULTS.read_text(encoding="utf-8"))
    short, page = module.tables(found)
    assert module.TABLE.read_text(encoding="utf-8") == page
    assert short in module.README.read_text(encoding="utf-8")
    ours = found["popquorn_offensiveness"]["rows"]["hyperlora"]["cells"]["nll"][0]
    part = page.split("## popquorn_offensiveness")[1].split("\n## ")[0]
    (row,) = [line for line in part.splitlines() if line.startswith("| hyperlora |")][:1]
    assert f"{ours:.3f}" in row.split("|")[2]


def test_methods_are_run_and_put_side_by_side(tmp_path, two_kinds, tiny_bert, quick, monkeypatch):
    module = module_of("perspectives")
    grid, with_lora = module.grid, module.grid.WITH_LORA
    monkeypatch.setattr(grid, "DATASETS", {"mine": grid.Source((0, 1))})
    monkeypatch.setattr(grid, "METHODS", ("hyperlora", with_lora, "annotator-mode"))
    monkeypatch.setattr(module, "KEPT", tmp_path / "kept")
    quickly = {"backbone": tiny_bert, **quick}
    of = {"hyperlora": {"deviation": "head"}, with_lora: {}, "annotator-mode": {}}
    monkeypatch.setattr(grid, "BUDGET", {name: {**quickly, **own} for name, own in of.items()})
    two_kinds.to_parquet(tmp_path / "mine.parquet")
    cells = list(module.cells())
    assert len(cells) == 5  # one of them once
    for cell in cells:
        module.run(cell, tmp_path, tmp_path / "runs")
    run = ha.load(tmp_path / "runs" / cells[0].folder)
    again = module.kept.read(tmp_path / "kept" / cells[0].folder, module.ratings("mine", tmp_path))
    rows = run.predictions.sort_values("split", kind="stable").reset_index(drop=True)
    pd.testing.assert_frame_equal(again.predictions, rows, rtol=1e-6, check_dtype=False)
    assert again.record == run.record
    shutil.rmtree(tmp_path / "runs")  # what is kept is enough
    found = json.loads(json.dumps(module.collect("mine", tmp_path)))
    assert [row["seeds"] for row in found["rows"].values()] == [[0, 1], [0], [0, 1]]
    settings = {name: own["deviation"] for name, own in found["settings"].items()}
    assert (settings["hyperlora"], settings[with_lora]) == ("head", "lora")
    others = {row["method"] for row in found["differences"]}
    assert others == {with_lora, "annotator-mode"}
    short, page = module.tables({"mine": found})
    assert "| hyperlora (2 epochs) |" in short and "| `hyperlora` less |" in page


def test_what_is_kept_belongs_to_its_rows(tmp_path, two_kinds):
    kept = module_of("kept")
    run = ha.fit(two_kinds, output=tmp_path / "run", method="annotator-mode")
    with pytest.raises(ValueError, match="other rows"):
        kept.keep(run, two_kinds.assign(split="test"), tmp_path / "kept")
    assert not kept.is_kept(tmp_path / "kept")


def test_a_kept_run_without_a_temperature_gets_the_one_that_fit_finds(
    tmp_path, two_kinds, tiny_bert, quick
):
    kept = module_of("kept")
    given = {"backbone": tiny_bert, **quick}
    now = ha.fit(two_kinds, output=tmp_path / "now", **given)
    raw = ha.fit(two_kinds, output=tmp_path / "raw", calibration="none", **given)
    of_all = two_kinds
    for name, run in (("now", now), ("raw", raw)):
        kept.keep(run, of_all, tmp_path / "kept" / name)
    before, after = (kept.read(tmp_path / "kept" / name, of_all) for name in ("raw", "now"))
    found = [made.record.results["temperature"] for made in (before, after)]
    assert found[0] == pytest.approx(found[1], abs=2e-3) and found[0] != 1
    pd.testing.assert_frame_equal(before.predictions, after.predictions, atol=1e-3)
    names = [name for name in raw.predictions if name.startswith("p_")]
    was = kept._asked(raw.predictions)[names]
    pd.testing.assert_frame_equal(after.uncalibrated.predictions[names], was, atol=1e-3)


def test_thresholds_are_those_of_dev():
    module = module_of("thresholds")
    generator = np.random.default_rng(0)
    truth, guessed = generator.integers(0, 3, 200), generator.integers(0, 3, 200)
    assert module.macro_f1(truth, guessed) == pytest.approx(
        f1_score(truth, guessed, average="macro")
    )
    rare = generator.random(400) < 0.2
    p = np.clip(0.15 + 0.2 * rare + 0.1 * generator.standard_normal(400), 0.01, 0.99)
    places = {"text_id": np.arange(400) // 4, "annotator": np.arange(400) % 4}
    rows = pd.DataFrame({**places, "label": rare.astype(int), "p_0": 1 - p, "p_1": p})
    added = module.offsets(rows)
    assert added[0] == 0 and added[1] > 0
    before, after = (module.scores(rows, o) for o in (np.zeros(2), added))
    assert after["macro_f1"] > before["macro_f1"] + 0.1
    toxic = rows.groupby("text_id")["label"].transform("sum")  # of four
    minority = ((toxic == 1) & (rows["label"] == 1)) | ((toxic == 3) & (rows["label"] == 0))
    right = ((p > 0.5) == rows["label"])[minority]
    assert before["minority_accuracy"] == pytest.approx(right.mean())


def test_cells_of_layers(tmp_path, two_kinds):
    module = module_of("layers")
    cells = module.cells([0, 1])
    assert len(cells) == 3 * (len(module.LAYERS) + 1 + len(module.SEVERAL))
    assert all(module.Cell.of(cell.name) == cell for cell in cells)
    two_kinds.to_parquet(tmp_path / "hs_brexit.parquet")
    assert module.store.some_texts("hs_brexit", 30, tmp_path)["text"].nunique() == 30


@pytest.fixture
def speed(monkeypatch):
    """A module of `benchmarks.speed` by its name."""
    monkeypatch.syspath_prepend(FOLDER.parent)
    return lambda name: importlib.import_module(f"benchmarks.speed.{name}")


@pytest.fixture
def tiny(speed, tiny_bert, monkeypatch):
    """A setting in which every case takes seconds."""
    setting = speed("setting")
    shape = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    monkeypatch.setattr(
        importlib.import_module("benchmarks.beams"),
        "T5Config",
        lambda **options: T5Config(**shape, vocab_size=50, **options),
    )
    sizes = replace(
        setting.FULL,
        **{"backbone": tiny_bert, "rows": 4, "tokens": 6, "annotators": 5, "pairs": 2},
        **{"long_pairs": 1, "people": (5, 7), "epoch_texts": 12, "epochs": 2, "texts": 3},
        **{"asked": 4, "beam_rows": 2, "written": 4, "large_backbone": tiny_bert, "large_rows": 6},
    )
    return setting.Setting(sizes=sizes, data=FOLDER / "nowhere")


def test_median_minimum_and_maximum_of_pairs(speed):
    pairs = speed("pairs").Pairs.of([(2.0, 1.0), (9.0, 3.0), (1.0, 2.0), (10.0, 4.0)])
    assert pairs.ratios == [2.0, 3.0, 0.5, 2.5]
    assert (pairs.median, pairs.minimum, pairs.maximum) == (2.25, 0.5, 3.0)
    row = speed("rows").Row("a/b", "a / b", "small", pairs).to_dict()
    assert (row["median"], row["min"], row["max"]) == (2.25, 0.5, 3.0)
    assert (row["first"], row["second"]) == (5.5, 2.5)


def test_sides_are_run_in_turn_after_a_warm_up(speed):
    ran = []
    pairs = speed("pairs").in_pairs(
        lambda: ran.append("a"), lambda: ran.append("b"), "cpu", n_pairs=3, n_warm=1
    )
    assert ran == ["a", "b"] * 4
    assert len(pairs.first) == len(pairs.second) == 3
    assert min(*pairs.first, *pairs.second) > 0


def test_bars(speed):
    bars = speed("bars")
    assert bars.Bar("≤", 1.1).holds(1.1) and not bars.Bar("≤", 1.1).holds(1.11)
    assert bars.Bar("≥", 4).holds(4.0) and not bars.Bar("≥", 4).holds(3.9)


def a_record(speed):
    record, rows, pairs = speed("record"), speed("rows"), speed("pairs")
    found = record.empty("cpu")
    slow = rows.Row("step/plain-lora", "ours / LoRA", "32 rows", pairs.Pairs((3.0,), (2.0,)))
    more = rows.Row("people/9", "9 / 1", "32 rows", pairs.Pairs((3.0,), (2.0,)), "MiB")
    setting = speed("setting").Setting(threads=1)
    record.add(found, "step", [slow], setting)
    record.add(found, "people", [more], setting)
    return found


def test_the_table_tells_ratio_bar_and_shapes(speed):
    text = speed("record").table(a_record(speed), note="A note.")
    step = "| ours / LoRA (1) | 1.50 | 1.50 | 1.50 | 1 | ≤ 1.1 | **no** | 3 s | 2 s |"
    assert step in text
    assert "| 9 / 1 (1) | 1.50 | 1.50 | 1.50 | 1 |  |  | 3 MiB | 2 MiB |" in text
    assert "\n1. 32 rows\n" in text and "A note." in text
    assert text.count("peft") == 1


def test_a_case_takes_the_place_of_its_earlier_results(speed, tmp_path):
    record, files = speed("record"), (tmp_path / "results/a.json", tmp_path / "tables/a.md")
    found = a_record(speed)
    record.write(found, *files)
    assert record.read(files[0], "cpu") == json.loads(json.dumps(found))
    assert files[1].read_text(encoding="utf-8") == record.table(found)
    record.add(found, "people", [], speed("setting").Setting())
    assert found["cases"]["people"]["rows"] == [] and found["cases"]["step"]["rows"]
    assert record.read(tmp_path / "none.json", "cuda") == record.empty("cuda")


def test_what_else_the_machine_did_is_told(speed):
    record, found = speed("record"), a_record(speed)
    record.add(found, "step", [], speed("setting").Setting(beside="other work on a core"))
    assert found["cases"]["step"]["hardware"].endswith("threads, other work on a core")
    assert "other work" not in found["cases"]["people"]["hardware"]


@pytest.mark.parametrize(
    ("case", "names"),
    [
        (
            "step",
            [
                *("plain-lora", "row-by-row", "published", "separate-loras", "full"),
                *("plain-lora-as-pytorch", "row-by-row-as-pytorch", "by-annotator"),
            ],
        ),
        ("mixed", ["adapter-names", "adapter-names-as-pytorch"]),
        ("beams", ["hyperdecoder", "hyperdecoder-lora"]),
    ],
)
def test_cases(speed, tiny, case, names):
    rows = speed("cases").CASES[case](tiny)
    assert [row.name for row in rows] == [f"{case}/{name}" for name in names]
    assert all(min(row.pairs.ratios) > 0 for row in rows)


def test_memory_and_people(speed, tiny, monkeypatch):
    measured = []

    def in_this_process(job, setting, n_annotators):
        measured.append((job, n_annotators))
        return 1.0 + abs(speed("peak").peak_of(job, setting.sizes, n_annotators, "cpu"))

    for case in ("memory", "people"):
        monkeypatch.setattr(speed(f"cases.{case}"), "in_fresh_process", in_this_process)
    (memory,) = speed("cases").CASES["memory"](tiny)
    people = speed("cases").CASES["people"](tiny)
    assert memory.unit == "MiB" and len(memory.pairs.first) == 1
    assert [row.name for row in people] == ["people/7", "people/7/memory"]
    assert measured == [("ours", 5), ("plain-lora", 5), ("people", 5), ("people", 7)]


def test_a_fresh_process_is_told_everything(speed, tiny, capsys):
    sizes = json.loads(json.dumps(asdict(tiny.sizes)))
    given = {"job": "ours", "device": "cpu", "threads": torch.get_num_threads()}
    speed("peak").main(json.dumps({**given, "annotators": 5, "sizes": sizes}))
    float(capsys.readouterr().out)


def test_cases_of_real_ratings(speed, tiny, two_kinds, tmp_path):
    for name in speed("cases.epoch").DATASETS:
        two_kinds.to_parquet(tmp_path / f"{name}.parquet")
    there = replace(tiny, data=tmp_path, sizes=replace(tiny.sizes, epoch_texts=40))
    epoch = speed("cases").CASES["epoch"](there)
    assert [row.name.partition("/")[2] for row in epoch][:3] == [
        *("popquorn_offensiveness", "popquorn_offensiveness/first"),
        "popquorn_offensiveness/later",
    ]
    everyone, fast = speed("cases").CASES["everyone"](there)
    assert (everyone.name, fast.name) == ("everyone/row-by-row", "everyone/row-by-row-fast")
    assert "3 texts of popquorn_offensiveness for each of 4 annotators" in everyone.shapes
    with pytest.raises(speed("setting").NoDataError, match="not there"):
        speed("cases").CASES["everyone"](tiny)


@torch.no_grad()
def test_weights_written_at_every_step_are_those_written_once(speed, tiny):
    cases = importlib.import_module("benchmarks.beams")
    case = speed("cases.beams")
    once, every_step = (cases.make(*cases.CASES["hyperdecoder-lora"]) for _ in range(2))
    regeneration = case.Regeneration(every_step)
    ids = torch.randint(2, 50, (2, 5), generator=torch.Generator().manual_seed(0))
    options = {"input_ids": ids, "num_beams": 3, "min_new_tokens": 4, "max_new_tokens": 4}
    first, second = (model.generate(**options, do_sample=False) for model in (once, every_step))
    assert torch.equal(first, second)
    assert regeneration.count == 4


def test_a_batch_in_passes_gives_the_gradient_of_the_whole(speed, tiny):
    models, steps = speed("models"), speed("steps")
    model = models.ours(models.backbone(tiny.sizes.backbone, "cpu"), 5).eval()
    batch = models.batch(model, 4, 6, 2, "cpu")
    gradients = []
    for parts in ([batch], steps.by_annotator(batch), steps.by_row(batch)):
        model.zero_grad()
        for part in parts:
            loss = model(**steps.conditioned(part)).loss
            (loss * len(part.annotators) / len(batch.annotators)).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in models.trained(model)]))
    torch.testing.assert_close(gradients[1], gradients[0])
    torch.testing.assert_close(gradients[2], gradients[0])


def test_quick_prints_and_writes_nothing(speed, tiny, monkeypatch, capsys, tmp_path):
    command = speed("__main__")
    monkeypatch.setattr(command, "QUICK", tiny.sizes)
    monkeypatch.setattr(command, "FILES", {"cpu": (tmp_path / "a.json", tmp_path / "a.md")})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    nowhere = ["--data", str(tmp_path)]
    command.main(["--quick", "--only", "mixed", "--only", "epoch", *nowhere])
    shown = capsys.readouterr().out
    assert "mixed/adapter-names" in shown and "left out: " in shown and "quick run" in shown
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(command, "FULL", tiny.sizes)
    command.main(["--only", "mixed"])
    assert (tmp_path / "a.md").read_text(encoding="utf-8") in capsys.readouterr().out


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_table_of_speed_is_that_of_its_results(speed, device):
    results, table = speed("__main__").FILES[device]
    if not results.exists():
        pytest.skip("not measured yet")
    record = speed("record")
    assert table.read_text(encoding="utf-8") == record.table(record.read(results, device))
