import json

import pandas as pd
import pytest
from peft import PeftModel
from transformers import AutoModelForSeq2SeqLM

from hyperadapters.errors import ConfigError, DataError, RunError
from hyperadapters.experiments.tasks import fit_tasks, load_tasks
from hyperadapters.methods.recipes import RECIPES, find_recipe
from hyperadapters.tasks import read_mixture
from hyperadapters.training import Progress

COLUMNS = [
    *["text_id", "task", "label", "predicted", "nll", "references"],
    *["split", "method", "seed", "source"],
]


class Listener(Progress):
    def __init__(self):
        self.messages, self.parts = [], []

    def message(self, text):
        self.messages.append(text)

    def part(self, name, done, total):
        self.parts.append((name, done, total))


def content(folder):
    return {path.name for path in folder.iterdir()}


def test_a_run_folder_holds_what_was_promised(task_run, toy):
    names = content(task_run)
    assert names >= {
        *["adapter_config.json", "adapter_model.safetensors", "run.json", "tasks.json"],
        *["log.jsonl", "predictions.parquet", "scores.json"],
    }
    assert not {name for name in names if name.endswith((".bin", ".pt", ".pkl", ".tmp"))}
    assert "checkpoint.safetensors" not in names

    record = json.loads((task_run / "run.json").read_text())
    assert (record["kind"], record["recipe"], record["seed"]) == ("tasks", "hyperdecoder", 0)
    assert record["complete"] is True
    assert record["settings"] == find_recipe("hyperdecoder").settings.changed(toy.QUICK).to_dict()
    assert record["tasks"] == ["tone", "colour", "size", "where"]
    assert [part["task"]["name"] for part in record["mixture"]["parts"]] == record["tasks"]
    assert record["mixture"]["sampling"] == {"temperature": 1.0, "one_task_per_batch": False}
    assert "at most 6 dev examples of each task" in record["selection"]
    assert {"python", "torch", "peft", "hyperadapters"} <= record["versions"].keys()
    assert record["data"]["rows_by_task"]["tone"] == {"train": 36, "dev": 12, "test": 12}
    results = record["results"]
    assert results["trainable_parameters"] == results["adapter_parameters"] > 0
    assert results["best"]["step"] in (3, 6)
    assert results["truncated"]["train"]["tone"]["sources"] == 0
    tasks = json.loads((task_run / "tasks.json").read_text())
    assert tasks["order"] == record["tasks"]
    assert tasks["tasks"]["tone"]["labels"] == {"0": "bad", "1": "good"}


def test_scores_and_predictions(task_run):
    run = load_tasks(task_run)
    scores, predictions = run.scores, run.predictions
    assert list(predictions) == COLUMNS
    assert set(predictions["split"]) == {"dev", "test"}
    assert predictions.groupby("task").size().to_dict() == {
        **{"tone": 24, "colour": 24, "size": 16, "where": 12}  # a row for a question, not a window
    }
    assert set(scores["slice"]) == {"tone", "colour", "size", "where", "all"}
    accuracy = scores.query("slice == 'tone' and metric == 'accuracy' and split == 'test'")
    rows = predictions.query("task == 'tone' and split == 'test'")
    assert accuracy["value"].item() == pytest.approx((rows["predicted"] == rows["label"]).mean())
    assert scores.query("metric == 'average'")["split"].tolist() == ["dev", "test"]
    log = [json.loads(line) for line in (task_run / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [3, 6]
    assert log[0]["dev"].keys() == {"tone", "colour", "size", "where"}


def test_it_is_a_peft_folder(task_run, tiny_t5):
    PeftModel.from_pretrained(AutoModelForSeq2SeqLM.from_pretrained(tiny_t5), task_run)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_runs_and_comes_back(recipe, mixture, tiny_t5, toy, tmp_path):
    output = tmp_path / "run"
    run = fit_tasks(mixture, output=output, recipe=recipe, backbone=tiny_t5, **toy.QUICK)
    again = load_tasks(output)
    rows = toy.tone(10)[["text"]]
    pd.testing.assert_frame_equal(again.predict("tone", rows), run.predict("tone", rows))
    assert again.record.recipe == recipe and set(run.predictions["method"]) == {recipe}


def test_two_berts(mixture, tiny_bert2bert, toy, tmp_path):
    run = fit_tasks(mixture, output=tmp_path / "run", backbone=tiny_bert2bert, **toy.QUICK)
    assert len(run.predictions) == 48


def test_the_built_in_backbone(toy, tmp_path):
    """MiniLM reads and writes; its answers are label words after a few steps, or nearly."""
    settings = {**toy.QUICK, "steps": 2, "evaluate_every": 2, "dev_limit": 2}
    run = fit_tasks(toy.write_mixture(tmp_path, "tone"), output=tmp_path / "run", **settings)
    assert run.record.backbone == "minilm2minilm"
    assert load_tasks(tmp_path / "run").predict("tone", toy.tone(5))["predicted"].notna().all()


@pytest.mark.slow
def test_tasks_are_learned(toy, tiny_t5, tmp_path):
    """Four tasks by full fine-tuning: words, a number, and a span in one of several windows."""
    path = toy.write_mixture(tmp_path, "tone", "colour", "where")
    settings = {**toy.QUICK, "steps": 400, "evaluate_every": 100, "batch_size": 16, "dev_limit": 0}
    settings |= {"learning_rate": 3e-3, "warmup_steps": 20, "recipe": "full-finetuning"}
    run = fit_tasks(path, output=tmp_path / "run", backbone=tiny_t5, **settings)
    scores = run.scores.query("split == 'test'").set_index(["slice", "metric"])["value"]
    assert scores["tone", "accuracy"] > 0.9 and scores["colour", "accuracy"] > 0.9
    assert scores["where", "exact_match"] > 0.6  # 0.25 by chance


def test_numbers_are_written_as_numbers(toy, tiny_t5, tmp_path):
    """The tokenizer takes them apart at the point."""
    path = toy.write_mixture(tmp_path, "size")
    settings = {**toy.QUICK, "steps": 60, "evaluate_every": 60, "learning_rate": 3e-3}
    run = fit_tasks(
        path, output=tmp_path / "run", backbone=tiny_t5, recipe="full-finetuning", **settings
    )
    assert set(run.predictions["predicted"]) <= {"1.0", "2.0", "3.0"}


def test_what_was_cut_is_told_and_kept(toy, tiny_t5, tmp_path):
    path, seen = toy.write_mixture(tmp_path, "tone", "colour"), Listener()
    long = toy.tone()
    long.loc[:9, "text"] = " ".join(["kind"] * 40)
    long.to_csv(tmp_path / "tone.csv", index=False)
    run = fit_tasks(path, output=tmp_path / "run", backbone=tiny_t5, progress=seen, **toy.QUICK)
    assert "train: 6 of 36 sources of tone were cut at 24 tokens" in seen.messages
    assert "dev and test: 4 of 24 sources of tone were cut at 24 tokens" in seen.messages
    assert not [line for line in seen.messages if "colour were cut" in line]
    assert run.record.results["truncated"]["train"]["tone"]["sources"] == 6
    assert seen.parts[-1] == ("answers", 48, 48)
    assert ("dev", 12, 12) in seen.parts  # dev_limit: six of each task


def test_an_empty_context_is_answered(toy, tiny_t5, tmp_path):
    path, table = toy.write_mixture(tmp_path, "where"), toy.where()
    empty = table.index[table["split"] == "test"][:1]
    for name, value in (("context", ""), ("answers", []), ("answer_starts", [])):
        table[name] = [value if i in empty else cell for i, cell in table[name].items()]
    table.to_parquet(tmp_path / "where.parquet")
    run = fit_tasks(path, output=tmp_path / "run", backbone=tiny_t5, **toy.QUICK)
    name = table.loc[empty[0], "id"]
    assert name in run.predictions.query("split == 'test'")["text_id"].tolist()


def test_windows_without_an_answer_may_be_left_out(toy, tiny_t5, tmp_path):
    path, rows = toy.write_mixture(tmp_path, "where"), []
    for keep in (True, False):
        seen = Listener()
        settings = {**toy.QUICK, "keep_nulls": keep, "progress": seen}
        fit_tasks(path, output=tmp_path / str(keep), backbone=tiny_t5, **settings)
        rows.append(int(seen.messages[0].split(";")[1].split()[0]))
    assert rows[0] > rows[1] >= 18  # 18 questions to train on


def test_a_task_that_is_only_scored(toy, tiny_t5, tmp_path):
    other = {"like": "tone", "file": "other.csv", "evaluate_only": True}
    path = toy.write_mixture(tmp_path, "tone", "colour", other=other)
    toy.tone(30, seed=5).to_csv(tmp_path / "other.csv", index=False)
    run = fit_tasks(
        path, output=tmp_path / "run", backbone=tiny_t5, recipe="hyperformer", **toy.QUICK
    )
    assert list(run.known.order) == ["tone", "colour"]
    assert run.known.index == {"tone": 0, "colour": 1, "other": 0}
    log = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert log["dev"].keys() == {"tone", "colour"}  # it has no part in the choice
    assert set(run.predictions["task"]) == {"tone", "colour", "other"}
    metrics = set(run.scores.query("slice == 'all'")["metric"])
    assert metrics == {"average", "average_evaluation_only"}
    asked = load_tasks(tmp_path / "run").predict("other", toy.tone(4)[["text"]])
    as_tone = load_tasks(tmp_path / "run").predict("tone", toy.tone(4)[["text"]])
    assert len(asked) == len(as_tone) == 4


def test_a_mixture_object_does_as_well(mixture, tiny_t5, toy, tmp_path):
    given = read_mixture(mixture)
    run = fit_tasks(given, output=tmp_path / "run", backbone=tiny_t5, **toy.QUICK)
    assert run.record.mixture["name"] == "mixture"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"recipe": "hyperdecodr"}, ConfigError, "did you mean hyperdecoder"),
        ({"step": 3}, ConfigError, "did you mean steps"),
        ({"steps": "x"}, ConfigError, "steps must be a whole number"),
        ({"backbone": "no-such-backbone"}, ConfigError, "'no-such-backbone' cannot be loaded"),
        ({"encoder": "full"}, ConfigError, "both trained in full"),
        ({"max_source": 1}, ConfigError, "max_source must be more than"),
        ({"seed": -1}, ConfigError, "seed must be from 0"),
        ({"seed": 2**40}, ConfigError, "seed must be from 0"),
    ],
)
def test_a_mistake_leaves_nothing_behind(changes, error, message, mixture, tiny_t5, toy, tmp_path):
    before = content(tmp_path)
    arguments = {"output": tmp_path / "run", "backbone": tiny_t5, **toy.QUICK, **changes}
    with pytest.raises(error, match=message):
        fit_tasks(mixture, **arguments)
    assert content(tmp_path) == before


def refused(toy, folder, backbone, error, message, *names, **declared):
    path = toy.write_mixture(folder, *names, **declared)
    with pytest.raises(error, match=message) as caught:
        fit_tasks(path, output=folder / "run", backbone=backbone, **toy.QUICK)
    assert not (folder / "run").exists()
    return str(caught.value)


def test_label_words_that_the_tokenizer_cannot_write(toy, tiny_t5, tiny_bert2bert, tmp_path):
    words = {"tone": {"labels": {0: "bad", 1: "splendid"}}}
    for backbone in (tiny_t5, tiny_bert2bert):
        message = refused(toy, tmp_path, backbone, ConfigError, "cannot write", "tone", **words)
        assert "task tone" in message and "'splendid'" in message


def test_texts_that_the_backbone_has_no_room_for(toy, tiny_bert2bert, tmp_path):
    path = toy.write_mixture(tmp_path)
    for changes, message in (
        ({"max_source": 49}, "max_source is 49, but it has 48 positions"),
        ({"max_target": 100}, "max_target is 100, but it has 48 positions"),
    ):
        with pytest.raises(ConfigError, match=message):
            settings = {**toy.QUICK, **changes}
            fit_tasks(path, output=tmp_path / "run", backbone=tiny_bert2bert, **settings)
    long = {"tone": {"generation": {"max_new_tokens": 60}}}
    message = "task tone writes up to 60 tokens, but it has 48 positions"
    refused(toy, tmp_path, tiny_bert2bert, ConfigError, message, "tone", **long)


def test_files_that_cannot_be_used(toy, tiny_t5, tmp_path):
    missing = {"tone": {"source": "{txt}"}}
    message = refused(toy, tmp_path, tiny_t5, DataError, "no column 'txt'", "tone", **missing)
    assert "tone.csv" in message and "did you mean 'text'" in message
    labels = {"tone": {"labels": {0: "bad", 2: "good"}}}
    refused(toy, tmp_path, tiny_t5, DataError, "column 'label' holds '1'", "tone", **labels)
    gone = {"tone": {"file": "gone.csv"}}
    refused(toy, tmp_path, tiny_t5, ConfigError, r"gone\.csv", "tone", **gone)
    metric = {"tone": {"metrics": ["pearson"]}}
    refused(toy, tmp_path, tiny_t5, ConfigError, "pearson", "tone", **metric)


def test_hostile_yaml(tiny_t5, toy, tmp_path):
    path = tmp_path / "evil.yaml"
    for text in (
        f"tasks: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']",
        "tasks: {tone: !!python/name:os.system ''}",
        "tasks: {tone: {file: t.csv, source: '{text.__class__}'}}",
        "a: &a [x, x]\nb: &b [*a, *a]\ntasks: {t: *b}",
        "[" * 5000,
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"evil\.yaml"):
            fit_tasks(path, output=tmp_path / "run", backbone=tiny_t5, **toy.QUICK)
    assert content(tmp_path) == {"evil.yaml"}


def test_an_existing_output_is_refused_and_untouched(mixture, tiny_t5, toy, tmp_path):
    before = content(tmp_path)
    for output in (tmp_path, mixture):
        with pytest.raises(RunError, match="exists; name another output"):
            fit_tasks(mixture, output=output, backbone=tiny_t5, **toy.QUICK)
    assert content(tmp_path) == before


def test_a_training_that_diverges_says_so(mixture, tiny_t5, toy, tmp_path):
    settings = {**toy.QUICK, "learning_rate": 1e30, "max_grad_norm": 1e30, "steps": 30}
    settings |= {"recipe": "full-finetuning"}
    with pytest.raises(RunError, match=r"diverged at step \d+: the loss is (nan|inf)"):
        fit_tasks(mixture, output=tmp_path / "run", backbone=tiny_t5, **settings)


def test_the_seed_does_not_move_the_data(mixture, tiny_t5, toy, tmp_path):
    runs = [
        fit_tasks(mixture, output=tmp_path / str(seed), backbone=tiny_t5, seed=seed, **toy.QUICK)
        for seed in (0, 1)
    ]
    first, second = (run.record.data for run in runs)
    assert first == second
    keys = [run.predictions[["text_id", "task", "split"]] for run in runs]
    pd.testing.assert_frame_equal(*keys)
    assert not runs[0].predictions["nll"].equals(runs[1].predictions["nll"])
