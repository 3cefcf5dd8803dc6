"""Answers that are sets of labels, as VariErrNLI's: written, read again, scored."""

import ast

import numpy as np
import pandas as pd
import pytest

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.evaluation import evaluate
from hyperadapters.labels import LabelSpace
from hyperadapters.tables import predictions_frame
from hyperadapters.tables.submissions import read_submission, write_submission

SETS = ("c", "c+e", "c+n", "e", "e+n", "n")
SPACE = LabelSpace(SETS)
SAME = {
    "lewidi-soft": ["soft_marginal_manhattan"],
    "lewidi-perspectivist": ["hamming_loss", "error_rate", "accuracy", "macro_f1"],
    "perseval": ["hamming_loss", "error_rate", "accuracy", "macro_f1"],
}


@pytest.fixture
def ratings():
    rng = np.random.default_rng(0)
    rows = [
        {"text_id": f"test-{100 - i}", "text": f"text {i}", "annotator": who, "split": "test"}
        for i in range(12)
        for who in rng.permutation(["Ann1", "Ann2", "Ann3", "Ann4"])[: 3 + i % 2]
    ]
    frame = pd.DataFrame(rows)
    return frame.assign(label=[*SETS, *rng.choice(SETS, size=len(frame) - len(SETS))])


@pytest.fixture
def predictions(ratings):
    values = np.random.default_rng(1).dirichlet(np.ones(len(SETS)), size=len(ratings))
    places = (ratings["text_id"], ratings["annotator"])
    more = {"label": ratings["label"], "split": ratings["split"]}
    return predictions_frame(*places, values, SPACE, **more)


def values_of(frame):
    return evaluate(frame, intervals=False).set_index("metric")["value"]


@pytest.mark.parametrize("format", SAME)
def test_what_was_written_scores_the_same_when_read(format, ratings, predictions, tmp_path):
    assert write_submission(predictions, tmp_path / "mine.tsv", format) == 12
    found = read_submission(tmp_path / "mine.tsv", format, ratings)
    ours, theirs = values_of(predictions), values_of(found)
    for metric in SAME[format]:
        assert theirs[metric] == pytest.approx(ours[metric], abs=1e-8), metric


def test_a_list_for_every_single_label(ratings, predictions, tmp_path):
    write_submission(predictions, tmp_path / "pe.tsv", "lewidi-perspectivist")
    write_submission(predictions, tmp_path / "soft.tsv", "lewidi-soft")
    first = predictions[predictions["text_id"] == "test-100"]
    name, cells = (tmp_path / "pe.tsv").read_text().splitlines()[0].split("\t")
    wanted = [[int(one in said.split("+")) for said in first["predicted"]] for one in "cen"]
    assert name == "100" and ast.literal_eval(cells) == wanted
    name, cells = (tmp_path / "soft.tsv").read_text().splitlines()[0].split("\t")
    share = first[["p_c", "p_c+e", "p_c+n"]].sum(axis=1).mean()
    assert ast.literal_eval(cells)[0] == pytest.approx([1 - share, share])


def test_the_order_of_the_task(ratings, predictions, tmp_path):
    order = ["n", "e", "c"]
    for format in ("lewidi-soft", "lewidi-perspectivist"):
        write_submission(predictions, tmp_path / format, format, labels=order)
        found = read_submission(tmp_path / format, format, ratings, labels=order)
        metric = SAME[format][0]
        assert values_of(found)[metric] == pytest.approx(values_of(predictions)[metric])
        other = read_submission(tmp_path / format, format, ratings, labels=order[::-1])
        assert values_of(other)[metric] != pytest.approx(values_of(predictions)[metric])


def test_sums_that_round_to_more_than_one(tmp_path):
    frame = pd.DataFrame({"text_id": ["t"] * 6, "annotator": list("uvwxyz"), "label": "c"})
    frame = frame.assign(split="test", label=["c", "c+e", "c+n", "c+n", "c+n", "n"])
    said = SPACE.encode(pd.Series(["c", "c+e", "c+n", "c+n", "c+n", "c+n"]))
    places = (frame["text_id"], frame["annotator"])
    table = predictions_frame(*places, np.eye(len(SETS))[said], SPACE, label=frame["label"])
    write_submission(table, tmp_path / "soft.tsv", "lewidi-soft")
    assert (tmp_path / "soft.tsv").read_text().startswith("t\t[[0.0, 1.0], ")
    read_submission(tmp_path / "soft.tsv", "lewidi-soft", frame)


def test_sets_are_spelt_as_in_the_ratings(ratings, predictions, tmp_path):
    other = {name: "+".join(reversed(name.split("+"))) for name in SETS}
    write_submission(predictions, tmp_path / "pe.tsv", "lewidi-perspectivist")
    spelt = ratings.assign(label=ratings["label"].map(other))
    found = read_submission(tmp_path / "pe.tsv", "lewidi-perspectivist", spelt)
    assert values_of(found)["accuracy"] == values_of(predictions)["accuracy"]


def test_sets_that_nobody_gave_are_labels_of_the_task(ratings, tmp_path):
    rows = ratings.rename(columns={"annotator": "user_id"})[["user_id", "text_id", "label"]]
    said = ["n+c", "c+e+n", *rows["label"][2:]]
    rows.assign(label=said).to_csv(tmp_path / "p.csv", index=False)
    found = read_submission(tmp_path / "p.csv", "perseval", ratings)
    assert found["predicted"].tolist()[:2] == ["c+n", "c+e+n"]
    rows.assign(label=["c+x", *said[1:]]).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError, match=r"labels \['c\+x'\] are not among those of the task"):
        read_submission(tmp_path / "p.csv", "perseval", ratings)


def test_ratings_with_the_empty_set(ratings, tmp_path):
    with_nothing = ratings.assign(label=ratings["label"].replace({"e": "+", "c+e": "c"}))
    space = LabelSpace.of(with_nothing["label"])
    values = np.random.default_rng(1).dirichlet(np.ones(len(space)), size=len(ratings))
    places = (ratings["text_id"], ratings["annotator"])
    more = {"label": with_nothing["label"], "split": ratings["split"]}
    table = predictions_frame(*places, values, space, **more)
    write_submission(table, tmp_path / "pe.tsv", "lewidi-perspectivist")
    found = read_submission(tmp_path / "pe.tsv", "lewidi-perspectivist", with_nothing)
    assert found["predicted"].tolist() == table["predicted"].tolist()


def test_labels_with_a_plus_that_are_no_sets(ratings, predictions, tmp_path):
    write_submission(predictions, tmp_path / "soft.tsv", "lewidi-soft", labels=list(SETS))
    first = (tmp_path / "soft.tsv").read_text().splitlines()[0].split("\t")[1]
    assert len(ast.literal_eval(first)) == len(SETS)
    found = read_submission(tmp_path / "soft.tsv", "lewidi-soft", ratings)
    wanted = values_of(predictions)["soft_manhattan"]
    assert values_of(found)["soft_manhattan"] == pytest.approx(wanted)


def test_three_probabilities_of_a_single_label(ratings, tmp_path):
    lines = [f"{name[5:]}\t{[[0.5, 0.5, 0.0]] * 3}\n" for name in ratings["text_id"].unique()]
    (tmp_path / "soft.tsv").write_text("".join(lines))
    with pytest.raises(DataError, match="not two probabilities, of not given and given"):
        read_submission(tmp_path / "soft.tsv", "lewidi-soft", ratings)


def test_people_of_whom_nothing_is_said(ratings, tmp_path):
    people = ratings.groupby("text_id", sort=False).size()
    lines = [f"{name[5:]}\t{[[0] * n] * 3}\n" for name, n in people.items()]
    (tmp_path / "zero.tsv").write_text("".join(lines))
    found = read_submission(tmp_path / "zero.tsv", "lewidi-perspectivist", ratings)
    given = ratings["label"].str.split("+").str.len() / 3
    wanted = given.groupby(ratings["text_id"]).mean().mean()
    assert values_of(found)["hamming_loss"] == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("[[0, 1, 0], [1, 0, 0]]", "2 lists for the labels c, e, n"),
        ("[[0, 1, 0], [1, 0], [0, 0, 1]]", "several lengths"),
        ("[[0, 2, 0], [1, 0, 0], [0, 0, 1]]", "neither 0"),
        ("[0, 1, 0]", "not a list like"),
        ("[[0], [1], [0]]", "1 labels for a text of 3 annotators"),
        ("[[0, [1], 0], [1, 0, 0], [0, 0, 1]]", "is not `id"),
    ],
)
def test_faults_of_a_line_are_told(line, what, ratings, predictions, tmp_path):
    write_submission(predictions, tmp_path / "pe.tsv", "lewidi-perspectivist")
    lines = (tmp_path / "pe.tsv").read_text().splitlines()
    lines[2] = lines[2].split("\t")[0] + "\t" + line
    (tmp_path / "pe.tsv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=what) as error:
        read_submission(tmp_path / "pe.tsv", "lewidi-perspectivist", ratings)
    assert "line 3" in str(error.value)


def test_the_edition_of_2023_has_no_sets(predictions, tmp_path):
    with pytest.raises(ConfigError, match="two labels"):
        write_submission(predictions, tmp_path / "x.tsv", "lewidi-2023")


def test_too_many_labels_for_sets(ratings, tmp_path):
    many = ratings.assign(label=[f"l{i % 12:02}+l{(i + 1) % 12:02}" for i in range(len(ratings))])
    people = ratings.groupby("text_id", sort=False).size()
    lines = [f"{name[5:]}\t{[[0] * n] * 12}\n" for name, n in people.items()]
    (tmp_path / "zero.tsv").write_text("".join(lines))
    with pytest.raises(ConfigError, match="more than 10"):
        read_submission(tmp_path / "zero.tsv", "lewidi-perspectivist", many)
