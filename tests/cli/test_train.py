import json
from types import SimpleNamespace

import pandas as pd
import pytest

from hyperadapters.cli.progress import BarProgress, PlainProgress, shown_progress
from hyperadapters.experiments import load
from hyperadapters.methods import Settings
from hyperadapters.training.progress import Step


def test_train_predict_evaluate(command, ratings_csv, tiny_bert, quick_set, two_kinds, tmp_path):
    run, out, scores = tmp_path / "run", tmp_path / "out.csv", tmp_path / "scores.json"
    done = command(
        *("train", ratings_csv, "--output", run, "--backbone", tiny_bert, "--seed", 3), *quick_set
    )
    assert done.status == 0, done.err
    # Standard output: the scores; standard error: plain lines, as it is no terminal.
    assert "annotator_macro_f1" in done.out
    assert "1 of 72 test rows are by annotators whom the training data does not know" in done.out
    assert f"everything is in {run}" in done.out.replace("\n", "")
    lines = done.err.splitlines()
    assert f"hyperlora on {tiny_bert}: " in lines[0] and "of them for 12 annotators" in lines[0]
    epochs = [line for line in lines if line.startswith("epoch")]
    assert [line.split(":")[0] for line in epochs] == ["epoch 1", "epoch 2"]
    assert "dev nll" in epochs[0] and "deviations on" in epochs[1]
    assert lines[-1] == "predicting dev and test"
    assert "\x1b" not in done.err
    assert load(run).record.seed == 3

    done = command("predict", run, "--input", ratings_csv, "--output", out, "--split", "test")
    assert done.status == 0, done.err
    assert done.out.replace("\n", " ").startswith("72 predictions in ")
    assert "(71 known, 1 population)" in done.out
    table = pd.read_csv(out)
    stored = load(run).predictions.query("split == 'test'")
    assert table["p_toxic"].tolist() == pytest.approx(stored["p_toxic"].tolist())

    done = command("evaluate", out, "--output", scores)
    assert done.status == 0, done.err
    rows = [row for row in json.loads(scores.read_text()) if row["slice"] == "all"]
    values = {row["metric"]: row["value"] for row in rows}
    accuracy = (table["predicted"] == table["label"]).mean()
    assert values["accuracy"] == pytest.approx(accuracy)


def test_settings_of_a_file_and_of_the_line(command, ratings_csv, tiny_bert, quick, tmp_path):
    config = tmp_path / "config.yaml"
    lines = [f"{key}: {value}" for key, value in quick.items()]
    config.write_text("# mine\n" + "\n".join([*lines, "weight_decay: 1e-3"]))
    run = tmp_path / "run"
    done = command(
        *("train", ratings_csv, "--output", run, "--backbone", tiny_bert, "--config", config),
        *("--set", "epochs=1", "--set", " schedule = linear "),
    )
    assert done.status == 0, done.err
    settings = load(run).record.settings
    assert (settings["epochs"], settings["schedule"]) == (1, "linear")
    assert settings["batch_size"] == quick["batch_size"]
    assert settings["weight_decay"] == 1e-3


def test_own_names_of_columns_and_two_texts(command, two_kinds, tiny_bert, quick_set, tmp_path):
    table = two_kinds.assign(premise="good red").rename(
        columns={"text": "claim", "annotator": "worker", "label": "toxic", "split": "fold"}
    )
    file, run, out = tmp_path / "t.jsonl", tmp_path / "run", tmp_path / "p.parquet"
    table.drop(columns="text_id").to_json(file, orient="records", lines=True)
    columns = ["--text", "premise", "--text", "claim", "--annotator", "worker"]
    columns += ["--label", "toxic"]
    done = command(
        *("train", file, "--output", run, "--backbone", tiny_bert, "--split", "fold"),
        *(*columns, *quick_set, "--method", "intercept"),
    )
    assert done.status == 0, done.err
    record = load(run).record
    assert record.method == "intercept"
    assert record.data["texts"] == 60
    assert record.data["rows_by_split"] == two_kinds["split"].value_counts().to_dict()
    done = command(
        *("predict", run, "--input", file, "--output", out, "--annotators", "u1, v2"), *columns
    )
    assert done.status == 0, done.err
    assert len(pd.read_parquet(out)) == 2 * 60


@pytest.fixture
def mistake(refused, ratings_csv, tmp_path):
    """A mistake of `train` must leave the folder as it was."""

    def call(*arguments, file=ratings_csv):
        before = sorted(path.name for path in tmp_path.iterdir())
        message = refused("train", file, "--output", tmp_path / "run", *arguments)
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        return message

    return call


def test_mistakes_of_method_backbone_and_seed(mistake):
    assert "did you mean 'text-only'" in mistake("--method", "textonly")
    assert "'no-such' cannot be loaded" in mistake("--backbone", "no-such")
    assert "Invalid value for '--seed'" in mistake("--seed", "x")
    assert "seed must be from 0" in mistake("--seed", "-1")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epoch=3", "unknown setting 'epoch'; did you mean epochs?"),
        ("epochs=three", "epochs must be a whole number, got 'three'"),
        ("epochs=0", "epochs must be a number of at least 1, got 0"),
        ("epochs", "--set wants key=value, got 'epochs'"),
        ("=3", "--set wants key=value, got '=3'"),
        ("head_dropout=1", "head_dropout must be below 1"),
        # Options of their own, which would clash with an argument of `fit`.
        *[(f"{name}=1", f"unknown setting '{name}'") for name in ("seed", "output", "method")],
        *[(f"{name}=1", f"unknown setting '{name}'") for name in ("ratings", "progress")],
    ],
)
def test_mistakes_of_settings(setting, message, mistake):
    assert message in mistake("--set", setting)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "is not YAML"),
        ("- epochs", "must hold lines of the form `key: value`"),
        ("3: 4", "must hold lines of the form `key: value`"),
        ("epochs: [1, 2]", "epochs must be a whole number, got [1, 2]"),
        ("epochs:", "epochs must be a whole number, got None"),
        ("model:\n  r: 3", "unknown setting 'model'"),
        (b"\xff\xfe\x00", "is not YAML"),
        (None, "No such file or directory"),
    ],
)
def test_mistakes_of_the_config(content, message, mistake, tmp_path):
    config = tmp_path / "c.yaml"
    if content is not None:
        config.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message in mistake("--config", config)


def test_an_empty_config_is_fine(tmp_path):
    from hyperadapters.cli.settings import read_settings

    (tmp_path / "c.yaml").write_text("# nothing yet\n")
    assert read_settings(tmp_path / "c.yaml", ["r=3"]) == {"r": "3"}
    assert read_settings(None, None) == {}


def test_mistakes_of_the_file(mistake, two_kinds, tmp_path):
    assert "absent.csv" in mistake(file=tmp_path / "absent.csv")
    assert "--label" in mistake("--label", "rating")
    table = two_kinds.copy()
    table.loc[7, "label"] = None
    table.to_csv(tmp_path / "broken.csv", index=False)
    message = mistake(file=tmp_path / "broken.csv")
    assert "column 'label' is empty" in message and "row" in message


def test_an_existing_output(refused, ratings_csv, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    message = refused("train", ratings_csv, "--output", tmp_path / "run")
    assert "exists; name another output" in message
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_stopped_and_resumed(command, ratings_csv, tiny_bert, quick_set, tmp_path, monkeypatch):
    run = tmp_path / "run"
    line = ["train", ratings_csv, "--output", run, "--backbone", tiny_bert, *quick_set]

    def stop(self, record):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PlainProgress, "evaluation", stop)
        stopped = command(*line)
    assert stopped.status == 130
    assert stopped.err.splitlines()[-1] == (
        f"stopped; the same command with --resume goes on in {run}"
    )
    assert "Traceback" not in stopped.err

    again = command(*line)
    assert again.status == 2 and "exists" in again.err
    other = command(*line, "--resume", "--seed", 1)
    assert other.status == 2 and "started with another seed" in other.err
    done = command(*line, "--resume")
    assert done.status == 0, done.err
    assert load(run).record.complete
    assert "nothing to resume" in command(*line, "--resume").err


def test_all_settings_are_listed(command):
    out = command("train", "--list-settings").out
    assert out.count("\n") == 2 * len(Settings().to_dict())
    for name, value in Settings().to_dict().items():
        assert f"{name} = {value}\n" in out


def test_plain_lines_are_few(capsys, monkeypatch):
    from hyperadapters.cli import progress

    now = iter([0.0, 31.0, 32.0, 62.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(now)))
    plain = PlainProgress()
    for step in (1, 2, 3, 4):
        plain.step(Step(1, step, 8, 0.5))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        *["epoch 1, step 2 of at most 8", "epoch 1, step 4 of at most 8"]
    ]
    # 31 s from the first step to the second, and six more: 186 s.
    assert lines[0].endswith("loss 0.5000, 3.1 minutes left at most")


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    record = {"epoch": 1, "train_loss": 0.5, "dev_nll": 0.4, "deviates": True, "best": True}
    with shown_progress() as shown:
        assert isinstance(shown, BarProgress)
        shown.step(Step(1, 1, 4, 0.5))
        shown.evaluation(record)
        shown.message("almost there")
    err = capsys.readouterr().err
    assert "almost there" in err and "best so far" in err
    monkeypatch.delenv("FORCE_COLOR")
    with shown_progress() as shown:
        assert isinstance(shown, PlainProgress)


def test_attributes_stand_in_a_table_of_people(
    command, ratings_csv, tiny_bert, quick_set, two_kinds, tmp_path
):
    names = two_kinds["annotator"].unique()
    people = pd.DataFrame({"annotator": names, "kind": [name[0] for name in names]})
    people.to_csv(tmp_path / "people.csv", index=False)
    files, run = (ratings_csv, tmp_path / "people.csv"), tmp_path / "run"
    told = ("--backbone", tiny_bert, "--attribute", "kind", *quick_set)
    done = command("train", *files, "--output", run, *told)
    assert done.status == 0, done.err
    assert load(run).record.method == "hyperlora+attributes"
    done = command("train", *files, "--output", run, "--attribute", "a,b")
    assert done.status == 2 and "--attribute wants the name of a column, got 'a,b'" in done.err
    done = command("train", *files, "--output", tmp_path / "x", "--method", "text-only", *told)
    assert done.status == 2 and "text-only is not told attributes (kind)" in done.err


def test_by_annotator(command, ratings_csv, refused, tmp_path):
    how = ("--method", "annotator-mode", "--split-by", "both", "--folds", "4", "--fold", "1")
    outcome = command("train", ratings_csv, *how, "--output", tmp_path / "run")
    assert outcome.status == 0, outcome.err
    assert "by annotators whom the training data does not know" in outcome.out
    run = load(tmp_path / "run")
    test = run.predictions.query("split == 'test'")
    assert set(test["source"]) == {"population"}
    assert not set(test["annotator"]) & set(run.vocabulary.names)
    assert run.record.data["split"] == {"by": "both", "fold": 1, "folds": 4, "seed": 0}
    given = ("train", ratings_csv, "--output", tmp_path / "x", "--split-by")
    assert "one of text, annotator, both" in refused(*given, "people")
    assert "fold must be from 0 to 4" in refused(*given, "both", "--fold", "5")
    assert "no column 'part'" in refused(*given, "both", "--folds", "part")
