"""Files of predictions as others have them: written, read again, and scored by official code."""

import ast
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hyperadapters.data import read_annotations
from hyperadapters.errors import ConfigError, DataError, RunError
from hyperadapters.evaluation import evaluate
from hyperadapters.labels import LabelSpace
from hyperadapters.tables import predictions_frame
from hyperadapters.tables.submissions import FORMATS, read_submission, write_submission


def ratings_of(labels=(0, 1), n_texts=12, seed=0, split="test"):
    """Two or three ratings a text, by five people in an order of their own."""
    rng = np.random.default_rng(seed)
    rows = [
        {"text_id": f"{split}-{100 - i}", "text": f"text {i}", "annotator": who}
        for i in range(n_texts)
        for who in rng.permutation(["Ann1", "Ann2", "Ann3", "Ann4", "Ann5"])[: 2 + i % 2]
    ]
    frame = pd.DataFrame(rows)
    drawn = rng.choice(labels, size=len(frame) - len(labels)).tolist()
    return frame.assign(label=[*labels, *drawn], split=split)


def predictions_of(ratings, labels=(0, 1), seed=1, **place):
    values = np.random.default_rng(seed).dirichlet(np.ones(len(labels)), size=len(ratings))
    return predictions_frame(
        ratings["text_id"], ratings["annotator"], values, LabelSpace.of(labels),
        label=ratings["label"], split=ratings["split"], **place,
    )  # fmt: skip


def values_of(frame):
    return evaluate(frame, intervals=False).set_index("metric")["value"]


SAME = {
    "lewidi-soft": [
        "soft_manhattan",
        "soft_cross_entropy",
        "soft_wasserstein",
        "disagreement_pearson",
    ],
    "lewidi-perspectivist": ["accuracy", "error_rate", "absolute_distance", "annotator_error_rate"],
    "lewidi-2023": ["soft_cross_entropy", "hard_micro_f1", "majority_macro_f1"],
    "perseval": [
        "accuracy",
        "macro_f1",
        "error_rate",
    ],  # ties of a majority have no probability here
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("labels", [(0, 1), (-1, 0, 2), ("no", "yes")])
def test_what_was_written_scores_the_same_when_read(format, labels, tmp_path):
    if format == "lewidi-2023" and len(labels) > 2:
        pytest.skip("for two labels")
    ratings = ratings_of(labels)
    predictions = predictions_of(ratings, labels)
    count = write_submission(predictions, tmp_path / "mine.tsv", format)
    found = read_submission(tmp_path / "mine.tsv", format, ratings)
    assert count == 12 and len(found) == len(ratings)
    assert set(found["method"]) == {"mine"}
    ours, theirs = values_of(predictions), values_of(found)
    for metric in set(SAME[format]) & set(ours.index):
        assert theirs[metric] == pytest.approx(ours[metric], abs=1e-8), metric


def test_soft_labels_look_like_those_of_2025(tmp_path):
    ratings = ratings_of(n_texts=2)
    write_submission(predictions_of(ratings), tmp_path / "soft.tsv", "lewidi-soft")
    lines = (tmp_path / "soft.tsv").read_text().splitlines()
    predictions = predictions_of(ratings)
    for line, key in zip(lines, ("100", "99"), strict=True):
        name, cells = line.split("\t")
        part = predictions[predictions["text_id"] == f"test-{key}"]
        assert name == key
        assert ast.literal_eval(cells) == pytest.approx(part[["p_0", "p_1"]].mean().tolist())


def test_labels_of_people_keep_the_order_of_the_ratings(tmp_path):
    ratings = ratings_of(n_texts=2)
    predictions = predictions_of(ratings)
    write_submission(predictions, tmp_path / "pe.tsv", "lewidi-perspectivist")
    wanted = [predictions["predicted"][:2].tolist(), predictions["predicted"][2:].tolist()]
    assert (tmp_path / "pe.tsv").read_text() == f"100\t{wanted[0]}\n99\t{wanted[1]}\n"


def test_2023_is_three_columns_without_ids(tmp_path):
    frame = pd.DataFrame(
        {"text_id": ["test-1", "test-1", "test-2"], "annotator": list("xyx"), "label": [0, 1, 1]}
    ).assign(split="test")
    values = np.array([[0.25, 0.75], [0.75, 0.25], [0.5, 0.5]])
    predictions = predictions_frame(
        frame["text_id"], frame["annotator"], values, LabelSpace.of((0, 1)), label=frame["label"]
    )
    write_submission(predictions, tmp_path / "HS-Brexit_results.tsv", "lewidi-2023")
    content = (tmp_path / "HS-Brexit_results.tsv").read_text()
    assert content == "0\t0.5\t0.5\n0\t0.5\t0.5\n"


def test_perseval_is_a_csv_of_people(tmp_path):
    predictions = predictions_of(ratings_of())
    write_submission(predictions, tmp_path / "p.csv", "perseval")
    found = pd.read_csv(tmp_path / "p.csv")
    assert found.columns.tolist() == ["user_id", "text_id", "label"]
    assert found["user_id"].tolist() == predictions["annotator"].tolist()
    assert found["label"].tolist() == predictions["predicted"].tolist()
    older = found.rename(columns={"user_id": "user", "text_id": "instance_id"})
    older.to_csv(tmp_path / "older.csv", index=False)
    again = read_submission(tmp_path / "older.csv", "perseval", ratings_of())
    assert again["predicted"].tolist() == predictions["predicted"].tolist()


def test_labels_of_the_task_that_nobody_gave(tmp_path):
    """CSC's soft labels have a place for 0, which the scale from 1 to 6 does not."""
    ratings = ratings_of((1, 2, 3))
    task = [0, 1, 2, 3]
    predictions = predictions_of(ratings, (1, 2, 3))
    write_submission(predictions, tmp_path / "a.tsv", "lewidi-soft", labels=task)
    first = (tmp_path / "a.tsv").read_text().splitlines()[0].split("\t")[1]
    assert len(ast.literal_eval(first)) == 4 and ast.literal_eval(first)[0] == 0
    with pytest.raises(DataError, match="4 probabilities for the labels 1, 2, 3"):
        read_submission(tmp_path / "a.tsv", "lewidi-soft", ratings)
    found = read_submission(tmp_path / "a.tsv", "lewidi-soft", ratings, labels=task)
    ours, theirs = values_of(predictions), values_of(found)
    assert theirs["soft_wasserstein"] == pytest.approx(ours["soft_wasserstein"])
    with pytest.raises(ConfigError, match="the predictions have the label 3"):
        write_submission(predictions, tmp_path / "b.tsv", "lewidi-soft", labels=[1, 2])


def test_one_split_method_and_seed_are_written(tmp_path):
    both = pd.concat([ratings_of(), ratings_of(split="dev")])
    frame = pd.concat([predictions_of(both, method="a"), predictions_of(both, seed=5, method="b")])
    with pytest.raises(ConfigError, match=r"several methods, \['a', 'b'\]; choose one"):
        write_submission(frame, tmp_path / "x.tsv", "lewidi-soft")
    write_submission(frame, tmp_path / "x.tsv", "lewidi-soft", split="dev", method="b")
    ratings = both.reset_index(drop=True)
    with pytest.raises(DataError, match="id '100' stands for several texts"):
        read_submission(tmp_path / "x.tsv", "lewidi-soft", ratings)
    found = read_submission(tmp_path / "x.tsv", "lewidi-soft", ratings_of(split="dev"))
    assert set(found["split"]) == {"dev"}
    with pytest.raises(DataError, match=r"no rows of split 'new'; there are \['dev', 'test'\]"):
        write_submission(frame, tmp_path / "y.tsv", "lewidi-soft", split="new", method="b")
    with pytest.raises(RunError, match="is there already"):
        write_submission(frame, tmp_path / "x.tsv", "lewidi-soft", method="b")


def test_an_answer_that_is_no_label_is_named_or_refused(tmp_path):
    """What a language model said that is no label counts as wrong."""
    ratings = ratings_of(n_texts=2)
    rows = ratings.assign(label=["nul", *ratings["label"][1:].astype(str)])
    rows = rows.rename(columns={"annotator": "user_id"})[["user_id", "text_id", "label"]]
    rows.to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError, match=r"p.csv: labels \['nul'\] .* task \(0, 1\) \(line 2\)"):
        read_submission(tmp_path / "p.csv", "perseval", ratings)
    found = read_submission(tmp_path / "p.csv", "perseval", ratings, labels=["0", "1", "nul"])
    assert values_of(found)["accuracy"] == pytest.approx(1 - 1 / len(ratings))
    with pytest.raises(ConfigError, match="must be integers"):
        read_submission(tmp_path / "p.csv", "perseval", ratings, labels=["0", "nul"])


FIVE = (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("format", "labels", "line", "what"),
    [
        ("lewidi-perspectivist", FIVE, "100\t[50, 1]", r"\['50'\]"),
        ("lewidi-perspectivist", FIVE, '100\t["x", 1]', r"\['x'\]"),
        ("lewidi-perspectivist", FIVE, "100\t[1, NaN]", r"\['nan'\]"),
        ("lewidi-perspectivist", FIVE, "100\t[0.5, 0]", r"\['0', '0.5'\]"),
        ("lewidi-perspectivist", FIVE, "100\t[true, 1]", r"\['True'\]"),
        ("lewidi-perspectivist", ("no", "yes"), '100\t["no", "maybe"]', r"\['maybe'\]"),
        ("lewidi-2023", (0, 1), "7\t0.5\t0.5", r"\['7'\]"),
        ("perseval", FIVE, "Ann1,test-100,", r"\[''\]"),
        ("perseval", FIVE, "Ann1,test-100,nan", r"\['nan'\]"),
        ("perseval", (0, 1), "Ann1,test-100,7", r"\['7'\]"),
        ("perseval", (0, 2), "Ann1,test-100,1", r"\['1'\]"),  # two integers are no scale
    ],
)
def test_a_label_that_is_none_of_the_task_is_refused(format, labels, line, what, tmp_path):
    """It would lengthen the scale that distances are divided by, or make it none at all."""
    ratings = ratings_of(labels)
    write_submission(predictions_of(ratings, labels), tmp_path / "f.tsv", format)
    lines = (tmp_path / "f.tsv").read_text().splitlines()
    place = int(format == "perseval")
    lines[place] = line
    (tmp_path / "f.tsv").write_text("\n".join(lines))
    known = ", ".join(map(str, labels))
    wanted = rf"f.tsv: labels {what} are not .* \({known}\) \(line {place + 1}\)\nName all labels"
    with pytest.raises(DataError, match=wanted):
        read_submission(tmp_path / "f.tsv", format, ratings)


def test_labels_inside_a_scale_need_not_occur(tmp_path):
    ratings = ratings_of((1, 2, 5, 6))
    lines = [f"{name[5:]}\t{[4] * len(of)}\n" for name, of in ratings.groupby("text_id")]
    (tmp_path / "pe.tsv").write_text("".join(lines))
    format = "lewidi-perspectivist"
    found = read_submission(tmp_path / "pe.tsv", format, ratings)
    apart = (ratings["label"] - 4).abs().groupby(ratings["text_id"]).mean().mean()
    assert values_of(found)["absolute_distance"] == pytest.approx(apart / 6)
    for labels in ([1, 2, 5, 6], ["1", "2", "5", "6"]):  # who names them, names them all
        with pytest.raises(DataError, match="labels \\['4'\\] are not"):
            read_submission(tmp_path / "pe.tsv", format, ratings, labels=labels)
    found = read_submission(tmp_path / "pe.tsv", format, ratings, labels=list(range(1, 8)))
    assert values_of(found)["absolute_distance"] == pytest.approx(apart / 7)


def test_the_page_names_the_labels_that_the_task_divides_by(tmp_path):
    """CSC has 7 places in its soft labels, but distances are divided by the 6 of its scale."""
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    named = re.findall(r"`--labels ([-0-9,]+)`", page)
    (of_soft, of_people, of_paraphrase) = (one.split(",") for one in named)
    ratings = ratings_of((1, 2, 3, 4, 5))  # 6 does not occur
    people = ratings.groupby("text_id", sort=False).size()
    lines = [f"{name[5:]}\t{[3] * n}\n" for name, n in people.items()]
    (tmp_path / "pe.tsv").write_text("".join(lines))
    apart = (ratings["label"] - 3).abs().groupby(ratings["text_id"]).mean().mean()
    for labels, values in ((of_people, 6), (of_paraphrase, 11)):
        found = read_submission(tmp_path / "pe.tsv", "lewidi-perspectivist", ratings, labels=labels)
        assert values_of(found)["absolute_distance"] == pytest.approx(apart / values)
    write_submission(predictions_of(ratings, (1, 2, 3, 4, 5)), tmp_path / "soft.tsv", "lewidi-soft",
                     labels=of_soft)  # fmt: skip
    first = (tmp_path / "soft.tsv").read_text().splitlines()[0].split("\t")[1]
    assert len(ast.literal_eval(first)) == 7


@pytest.mark.parametrize(
    ("format", "content", "what"),
    [
        ("lewidi-soft", "", "the file is empty"),
        ("lewidi-soft", "100 [1, 0]\n", r"is not `id <tab> \[numbers\]` \(line 1\)"),
        ("lewidi-soft", "100\t[1, 0]\n100\t[1, 0]\n", r"an id occurs before \(line 2\)"),
        ("lewidi-soft", "1\t[1, 0]\n", r"no text of this id \(line 1\)"),
        ("lewidi-soft", "100\t[0.5, 0.4]\n99\t[1, 0]\n", r"sum to 0.9 instead of 1 \(line 1\)"),
        ("lewidi-soft", "100\t[1.5, -0.5]\n99\t[1, 0]\n", "not a number from 0 on"),
        ("lewidi-soft", "100\t[1, 0]\n", "1 texts of the ratings are not predicted, such as '99'"),
        ("lewidi-perspectivist", "100\t[1]\n99\t[1,0,1]\n", "1 labels for a text of 2 annotators"),
        ("lewidi-2023", "1\t0.5\t0.5\n", "1 lines for 2 texts"),
        ("lewidi-2023", "1\t0.5\n0\t1\t0\n", "is not `label <tab> probability"),
        ("perseval", "who,text_id,label\n", "column 'user_id' is missing"),
        ("perseval", "user_id,text_id,label\nAnn3,100,1\nAnn1,7,1\n\nAnn1,8,1\n",
         r"2 of 3 predictions have no rating \(lines 3, 5\)"),
        ("perseval", "user_id,text_id,label\nAnn3,100,1\n\nAnn3,100,0\n",
         r"f.tsv: the same text and annotator occur before \(line 4\)$"),
        ("perseval", "user_id,text_id,label\n", "f.tsv: there are no rows below the header"),
        ("perseval", "user_id,text_id,label\nAnn1,7\n", "as many fields as the header"),
    ],
)  # fmt: skip
def test_faults_name_the_line(format, content, what, tmp_path):
    (tmp_path / "f.tsv").write_text(content)
    with pytest.raises(DataError, match=what):
        read_submission(tmp_path / "f.tsv", format, ratings_of(n_texts=2))


def test_what_else_is_refused(tmp_path):
    predictions = predictions_of(ratings_of())
    with pytest.raises(ConfigError, match="unknown format 'x'; known: lewidi-soft"):
        write_submission(predictions, tmp_path / "f", "x")
    with pytest.raises(ConfigError, match="labels must be integers as in the ratings"):
        write_submission(predictions, tmp_path / "f", "lewidi-soft", labels=["no", "yes"])
    with pytest.raises(DataError, match="there is no such file"):
        read_submission(tmp_path / "none", "perseval", ratings_of())
    (tmp_path / "latin").write_bytes(b"\xe9\t[1]")
    with pytest.raises(DataError, match="is not UTF-8"):
        read_submission(tmp_path / "latin", "lewidi-soft", ratings_of())
    three = predictions_of(ratings_of((0, 1, 2)), (0, 1, 2))
    with pytest.raises(ConfigError, match="lewidi-2023 is for two labels"):
        write_submission(three, tmp_path / "f", "lewidi-2023")


@pytest.mark.real
def test_the_files_of_the_shared_tasks_fit(real_data, tmp_path):
    """Perfect submissions, made of the tasks' own soft labels and annotations, lose nothing."""
    import json

    source = real_data / "lewidi" / "Paraphrase_test.json"
    items = json.loads(source.read_text())
    soft = [f"{key}\t{list(item['soft_label'].values())}" for key, item in items.items()]
    (tmp_path / "soft.tsv").write_text("\n".join(soft))
    people = [f"{k}\t{[int(x) for x in item['annotations'].values()]}" for k, item in items.items()]
    (tmp_path / "pe.tsv").write_text("\n".join(people))
    truth = read_annotations(source)
    task = list(range(-5, 6))
    values = values_of(read_submission(tmp_path / "soft.tsv", "lewidi-soft", truth, labels=task))
    assert values["soft_wasserstein"] == pytest.approx(0, abs=1e-9)
    found = read_submission(tmp_path / "pe.tsv", "lewidi-perspectivist", truth)
    assert values_of(found)["absolute_distance"] == 0
    source = real_data / "lewidi" / "HS-Brexit_test.json"
    rows = [
        f"{item['hard_label']}\t{item['soft_label']['0']}\t{item['soft_label']['1']}"
        for item in json.loads(source.read_text()).values()
    ]
    (tmp_path / "2023.tsv").write_text("\n".join(rows))
    values = values_of(
        read_submission(tmp_path / "2023.tsv", "lewidi-2023", read_annotations(source))
    )
    assert values["hard_micro_f1"] == 1
    assert values["soft_manhattan"] < 0.01  # soft labels are rounded there
