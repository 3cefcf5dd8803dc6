import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from hyperadapters.cli.evaluate import SLICES, evaluate
from hyperadapters.cli.options import FORMAT_NAMES
from hyperadapters.errors import ConfigError, DataError, RunError
from hyperadapters.evaluation import evaluate as score
from hyperadapters.evaluation import group_scores
from hyperadapters.labels import LabelSpace
from hyperadapters.tables import (
    predictions_frame,
    read_scores,
    write_predictions,
    write_submission,
)
from hyperadapters.tables.prediction_faults import SOURCES
from hyperadapters.tables.submissions import FORMATS


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    app = typer.Typer()
    app.command()(evaluate)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def predictions(method="hyperlora", source="known"):
    generator = np.random.default_rng(0)
    texts, people = np.repeat(np.arange(30), 4), np.tile(np.arange(4), 30)
    values = generator.dirichlet([1, 1], size=120)
    label = generator.integers(2, size=120)
    labels = LabelSpace((0, 1))
    return predictions_frame(
        texts, people, values, labels, label=label, method=method, source=source
    )


def test_one_method_is_shown_with_its_intervals(run, tmp_path):
    write_predictions(predictions(), tmp_path / "p.parquet")
    result = run(tmp_path / "p.parquet")
    assert result.exit_code == 0
    scores = score(predictions()).set_index("metric")
    assert "hyperlora, seed 0, split test" in result.stdout
    words = " ".join(result.stdout.split())
    row = scores.loc["accuracy"]
    wanted = f"accuracy higher {row['value']:.3f} {row['low']:.3f} to {row['high']:.3f} 120"
    assert wanted in words
    assert "coverage_rows neither 1.000 120" in words
    assert words.count("accuracy") == 2  # with minority_accuracy: one table only


def test_slices_stand_side_by_side(run, tmp_path):
    source = ["known", "known", "population", "population"] * 30
    write_predictions(predictions(source=source), tmp_path / "p.csv")
    words = " ".join(run(tmp_path / "p.csv").stdout.split())
    assert "metric better all known population" in words


def test_every_source_is_a_slice_of_the_table(run, tmp_path):
    assert ("all", *SOURCES) == SLICES
    frame = predictions(source=[*SOURCES] * 30)
    write_predictions(frame, tmp_path / "p.csv")
    words = " ".join(run(tmp_path / "p.csv").stdout.split())
    assert "metric better all known adapted" in words
    assert "metric better attributes population" in words
    both = pd.concat([frame, predictions("b", source=[*SOURCES] * 30)])
    write_predictions(both, tmp_path / "both.csv")
    assert "attributes attributes" in " ".join(run(tmp_path / "both.csv").stdout.split())


def test_methods_stand_side_by_side_and_nothing_is_cut_off(run, tmp_path):
    methods = ["text-only", "annotator-embedding", "lora-per-annotator", "hyperlora"]
    frame = pd.concat([predictions(method) for method in methods])
    write_predictions(frame, tmp_path / "p.parquet")
    result = run(tmp_path / "p.parquet")
    for part in ("text-only", "annotator-", "embedding", "hyperlora", "annotator_macro_f1_p10"):
        assert part in result.stdout
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_undefined_metrics_are_a_dash(run, tmp_path):
    frame = predictions_frame(["a"], ["x"], np.array([[0.5, 0.5]]), LabelSpace((0, 1)), label=[0])
    write_predictions(frame, tmp_path / "p.csv")
    assert "minority_accuracy higher - 0" in " ".join(run(tmp_path / "p.csv").stdout.split())


def test_scores_are_written(run, tmp_path):
    write_predictions(predictions(), tmp_path / "p.parquet")
    result = run(tmp_path / "p.parquet", "--output", tmp_path / "s.json")
    assert f"scores written to {tmp_path / 's.json'}" in result.stdout
    pd.testing.assert_frame_equal(read_scores(tmp_path / "s.json"), score(predictions()))


def test_people_can_be_drawn_instead_of_texts(run, tmp_path):
    write_predictions(predictions(), tmp_path / "p.parquet")
    result = run(
        tmp_path / "p.parquet", "--resample", "annotators", "--output", tmp_path / "s.json"
    )
    assert result.exit_code == 0
    wanted = score(predictions(), resample="annotators")
    pd.testing.assert_frame_equal(read_scores(tmp_path / "s.json"), wanted)
    wrong = run(tmp_path / "p.parquet", "--resample", "rows").exception
    assert "wanted texts or annotators" in str(wrong)


def test_mistakes_go_to_the_command_line_as_they_are(run, tmp_path):
    write_predictions(predictions(), tmp_path / "p.parquet")
    (tmp_path / "s.json").write_text("mine")
    result = run(tmp_path / "p.parquet", "--output", tmp_path / "s.json")
    assert isinstance(result.exception, RunError)
    assert (tmp_path / "s.json").read_text() == "mine"
    assert isinstance(run(tmp_path / "none.csv").exception, DataError)


def test_the_command_is_light_to_import():
    code = "import sys, hyperadapters.cli.evaluate; print('pandas' in sys.modules)"
    if "pandas" in _modules_of("import hyperadapters"):
        pytest.skip("importing the package loads pandas already")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def _modules_of(code):
    code += "; import sys; print(' '.join(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return found.stdout.split()


def people(n=24):
    """Attributes of `n` people, and predictions that are better for the odd ones."""
    generator = np.random.default_rng(0)
    texts, person = np.repeat(np.arange(20), n), np.tile(np.arange(n), 20)
    label = generator.integers(2, size=len(person))
    hit = generator.random(len(person)) < np.where(person % 2, 0.9, 0.6)
    guess = np.where(hit, label, 1 - label)
    values = 0.6 * np.eye(2)[guess] + 0.2
    names = np.array([f"a{i:02}" for i in range(n)], dtype=object)
    frame = predictions_frame(texts, names[person], values, LabelSpace((0, 1)), label=label)
    gender = ["woman", "man"] * (n // 2)
    gender[-1] = None
    return frame, pd.DataFrame({"worker": names, "gender": gender, "age": range(n)})


def test_groups_and_their_gaps_are_shown(run, tmp_path):
    frame, attributes = people()
    write_predictions(frame, tmp_path / "p.parquet")
    attributes.to_csv(tmp_path / "people.csv", index=False)
    arguments = ["--by", "gender", "--attributes", tmp_path / "people.csv", "--annotator", "worker"]
    result = run(tmp_path / "p.parquet", *arguments)
    assert result.exit_code == 0, result.exception
    words = " ".join(result.stdout.split())
    found = group_scores(frame, attributes.rename(columns={"worker": "annotator"}), "gender")
    row = found.scores.set_index(["group", "metric"]).loc[("man", "accuracy")]
    assert f"man {row['value']:.3f} {row['low']:.3f} to {row['high']:.3f} 11 220" in words
    assert "accuracy" in words and "largest gap" in words and "woman man" in words
    assert "gender: not shown, for they have fewer than 10 people: not given" in words
    for wrong in (["--by", "gender"], ["--attributes", tmp_path / "people.csv"]):
        assert "need each other" in str(run(tmp_path / "p.parquet", *wrong).exception)
    wrong = run(tmp_path / "p.parquet", *arguments[:-2]).exception
    assert isinstance(wrong, DataError) and "annotator" in str(wrong)


def test_groups_and_their_gaps_are_written(run, tmp_path):
    frame, attributes = people()
    write_predictions(frame, tmp_path / "p.parquet")
    attributes = attributes.rename(columns={"worker": "annotator"})
    attributes.to_csv(tmp_path / "people.csv", index=False)
    given = ["--by", "gender", "--attributes", tmp_path / "people.csv"]
    result = run(tmp_path / "p.parquet", *given, "--output", tmp_path / "s.json")
    assert result.exit_code == 0, result.exception
    scores, found = read_scores(tmp_path / "s.json"), group_scores(frame, attributes, "gender")
    whole = scores[scores["slice"] == "all"]
    pd.testing.assert_frame_equal(whole, score(frame))
    assert set(scores["slice"]) == {"all", "gender=man", "gender=woman", "gender"}
    records = json.loads((tmp_path / "s.json").read_text())
    of = {(r["slice"], r["metric"]): r for r in records}
    wanted = found.scores.set_index(["group", "metric"]).loc[("man", "accuracy")]
    one = of["gender=man", "accuracy"]
    assert [one[k] for k in ("value", "low", "high")] == wanted[["value", "low", "high"]].tolist()
    assert (one["n"], one["n_annotators"]) == (220, 11) and "p_value" not in one
    wanted = found.gaps.set_index("metric").loc["accuracy"]
    gap = of["gender", "accuracy_gap"]
    assert [gap[k] for k in ("value", "low", "high", "p_value")] == pytest.approx(
        wanted[["gap", "low", "high", "p_value"]].tolist(), abs=0
    )
    assert (gap["lowest"], gap["highest"], gap["n_groups"]) == ("woman", "man", 2)
    assert gap["n"] == 460 and "n_annotators" not in gap


def test_a_gap_that_there_is_none_of_is_written_as_nothing(run, tmp_path):
    frame, attributes = people()
    write_predictions(frame, tmp_path / "p.parquet")
    attributes.assign(gender=None, team="a").to_csv(tmp_path / "people.csv", index=False)
    given = ["--by", "team", "--attributes", tmp_path / "people.csv", "--annotator", "worker"]
    assert run(tmp_path / "p.parquet", *given, "--output", tmp_path / "s.json").exit_code == 0
    (gap,) = [r for r in json.loads((tmp_path / "s.json").read_text()) if r["metric"] == "nll_gap"]
    assert (gap["value"], gap["n"], gap["n_groups"]) == (None, 0, 1) and "lowest" not in gap


@pytest.mark.parametrize("fault", ["--by", "--attributes", "--annotator"])
def test_nothing_is_written_where_groups_are_at_fault(fault, run, tmp_path):
    frame, attributes = people()
    write_predictions(frame, tmp_path / "p.parquet")
    attributes.to_csv(tmp_path / "people.csv", index=False)
    given = {"--by": "gender", "--attributes": tmp_path / "people.csv", "--annotator": "worker"}
    given |= {fault: "nope", "--output": tmp_path / "new" / "s.json"}
    result = run(tmp_path / "p.parquet", *[part for pair in given.items() for part in pair])
    assert isinstance(result.exception, ConfigError | DataError)
    assert not (tmp_path / "new").exists()


def test_files_of_others_are_scored_beside_the_truth(run, tmp_path):
    frame, _ = people(4)
    write_submission(frame, tmp_path / "team.tsv", "lewidi-perspectivist")
    ratings = frame[["text_id", "annotator", "label"]].rename(columns={"label": "irony"})
    ratings.assign(text="text " + ratings["text_id"]).to_csv(tmp_path / "r.csv", index=False)
    truth = ["--format", "lewidi-perspectivist", "--truth", tmp_path / "r.csv", "--label", "irony"]
    result = run(tmp_path / "team.tsv", *truth)
    assert result.exit_code == 0, result.exception
    value = score(frame).set_index("metric").loc["error_rate", "value"]
    assert f"error_rate lower {value:.3f}" in " ".join(result.stdout.split())
    assert "team, seed 0, split test" in result.stdout
    assert "name --truth" in str(run(tmp_path / "team.tsv", *truth[:2]).exception)
    wrong = run(tmp_path / "team.tsv", "--format", "x", *truth[2:]).exception
    assert "known: predictions, lewidi-soft" in str(wrong)
    assert "--truth and --labels are for" in str(run(tmp_path / "team.tsv", *truth[2:]).exception)


def test_ratings_without_a_prediction_are_told(run, tmp_path):
    frame, _ = people(4)
    splits = np.where(frame.index < 60, "test", "dev")
    ratings = frame[["text_id", "annotator", "label"]].assign(split=splits)
    ratings.assign(text="text " + ratings["text_id"]).to_csv(tmp_path / "r.csv", index=False)
    said = frame.rename(columns={"annotator": "user_id"})[["user_id", "text_id", "label"]]
    truth = ["--format", "perseval", "--truth", tmp_path / "r.csv"]
    for n, note in (
        (80, ""),
        (60, "20 of 80 ratings have no prediction (20 of 20 in dev)"),
        (1, "79 of 80 ratings have no prediction (59 of 60 in test, 20 of 20 in dev)"),
    ):
        said[:n].to_csv(tmp_path / "p.csv", index=False)
        result = run(tmp_path / "p.csv", *truth)
        assert result.exit_code == 0, result.exception
        wanted = f"{tmp_path / 'p.csv'}: {note}; the scores are those of the others\n"
        assert result.stderr == (wanted if note else "")


def test_answers_of_several_labels(run, tmp_path):
    rows = [("a", "x", "c"), ("a", "x", "n"), ("a", "y", "n"), ("b", "x", "e"), ("b", "y", "c")]
    ratings = pd.DataFrame(rows, columns=["text_id", "annotator", "label"])
    ratings.assign(text="text " + ratings["text_id"]).to_csv(tmp_path / "r.csv", index=False)
    lines = ["a\t[[1, 0], [0, 0], [0, 1]]", "b\t[[0, 0], [1, 1], [0, 1]]"]  # c, e, n
    (tmp_path / "team.tsv").write_text("\n".join(lines))
    truth = ["--format", "lewidi-perspectivist", "--truth", tmp_path / "r.csv"]
    result = run(tmp_path / "team.tsv", *truth, "--join-labels")
    assert result.exit_code == 0, result.exception
    # Of x and y in each: one of three, none; none, all three.
    assert f"hamming_loss lower {(1 / 6 + 1 / 2) / 2:.3f}" in " ".join(result.stdout.split())
    assert "--join-labels" in str(run(tmp_path / "team.tsv", *truth).exception)


def test_format_names_in_the_help_are_all_of_them():
    assert ", ".join(FORMATS) == FORMAT_NAMES
