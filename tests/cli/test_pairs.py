"""Pairs of texts on the command line, in a file and in the layout of LeWiDi."""

import json

import pandas as pd
import pytest

COLUMNS = ("--text", "premise", "--text", "hypothesis")


@pytest.fixture
def pairs_csv(two_kinds, tmp_path):
    path = tmp_path / "pairs.csv"
    named = two_kinds.assign(premise="good red").rename(columns={"text": "hypothesis"})
    named.to_csv(path, index=False)
    return path


@pytest.fixture
def pair_run(command, pairs_csv, tiny_bert, quick_set, tmp_path):
    run = tmp_path / "run"
    done = command(
        *("train", pairs_csv, *COLUMNS, "--output", run, "--backbone", tiny_bert), *quick_set
    )
    assert done.status == 0, done.err
    return run


def test_train_and_predict(command, refused, pair_run, pairs_csv, tmp_path):
    out = tmp_path / "out.parquet"
    asked = ("predict", pair_run, "--input", pairs_csv, "--output", out)
    # A column that is missing is named, and so is the second one that was not asked for.
    message = refused(*asked, "--text", "premise", "--text", "hypothesys")
    assert "no column 'hypothesys'" in message and "did you mean 'hypothesis'?" in message
    alone = tmp_path / "alone.csv"
    alone.write_text("premise\ngood red\n")
    one = ("predict", pair_run, "--input", alone, "--output", out, "--annotators", "all")
    message = refused(*one, "--text", "premise")
    assert "trained on pairs of texts" in message and "--text A --text B" in message
    done = command(*asked, *COLUMNS, "--split", "test")
    assert done.status == 0, done.err
    stored = pd.read_parquet(pair_run / "predictions.parquet").query("split == 'test'")
    assert pd.read_parquet(out)["p_toxic"].tolist() == pytest.approx(stored["p_toxic"].tolist())


def test_the_commands_of_a_comparison(command, pairs_csv, tiny_bert, quick_set, tmp_path):
    folder = tmp_path / "all"
    given = ("--methods", "global-mode", "--seeds", "0", "--output", folder, "--join-labels")
    done = command("compare", pairs_csv, *COLUMNS, *given, "--backbone", tiny_bert, *quick_set)
    assert done.status == 0, done.err
    cell = (folder / "table.md").read_text("utf-8")
    assert "--text premise --text hypothesis --backbone" in cell
    assert "--join-labels --output RUN" in cell


@pytest.fixture
def lewidi(two_kinds, tmp_path):
    """The table as VariErrNLI is published, someone being of two minds about every text."""
    files = []
    for split, rows in two_kinds.groupby("split"):
        items = {}
        for text_id, of_text in rows.groupby("text_id"):
            answers = dict(zip(of_text["annotator"], of_text["label"], strict=True))
            answers[next(iter(answers))] = "toxic,fine"
            text = {"context": "good red", "statement": of_text["text"].iloc[0]}
            items[text_id] = {"text": text, "annotations": answers, "split": split}
        files.append(tmp_path / f"varierr_{split}.json")
        files[-1].write_text(json.dumps(items))
    return files


def test_files_of_lewidi(command, lewidi, tiny_bert, quick_set, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out.csv"
    checked = command("data", "check", *lewidi)
    assert "pairs of texts" in checked.out and "fine+toxic" in checked.out
    done = command("train", *lewidi, "--output", run, "--backbone", tiny_bert, *quick_set)
    assert done.status == 0, done.err
    done = command("predict", run, "--input", lewidi[-1], "--output", out)
    assert done.status == 0, done.err
    table = pd.read_csv(out)
    assert {"p_fine", "p_fine+toxic", "p_toxic"} <= set(table) and len(table) > 100
