import numpy as np
import pandas as pd
import pytest

from hyperadapters.data import read_annotations
from hyperadapters.evaluation import evaluate
from hyperadapters.evaluation.lewidi import absolute_distance, error_rate, hamming_loss
from hyperadapters.evaluation.soft import soft_marginal_manhattan
from hyperadapters.labels import LabelSpace
from hyperadapters.tables import predictions_frame
from hyperadapters.tables.submissions import read_submission


def test_texts_count_alike_however_many_people_labelled_them(table, code):
    rows = code(table([("a", who, 1, 0.0) for who in "xyz"] + [("b", "x", 1, 1.0)]))
    assert error_rate(rows).value == pytest.approx(0.5)  # not 3/4
    assert error_rate(rows).n == 2


def test_distance_is_in_lengths_of_the_scale(table, code):
    # A scale of 1 to 6, of which 4 does not occur.
    certain = {label: tuple(float(label == i) for i in (1, 2, 3, 5, 6)) for label in (1, 2, 3, 5)}
    rows = [("a", "x", 6, certain[1]), ("a", "y", 2, certain[2]), ("b", "x", 2, certain[5])]
    metric = absolute_distance(code(table(rows, (1, 2, 3, 5, 6))))
    assert metric.value == pytest.approx(((5 + 0) / 2 + 3) / 2 / 6)
    assert metric.highest == pytest.approx(5 / 6)


def test_agreement_with_a_loop_over_texts(big, code):
    wrong, distance = [], []
    for _, group in big.groupby("text_id"):
        errors, distances = [], []
        for _, row in group.iterrows():
            errors.append(float(row["label"] != row["predicted"]))
            distances.append(abs(int(row["label"]) - int(row["predicted"])) / 3)
        wrong.append(sum(errors) / len(errors))
        distance.append(sum(distances) / len(distances))
    assert error_rate(code(big)).value == pytest.approx(np.mean(wrong))
    assert absolute_distance(code(big)).value == pytest.approx(np.mean(distance))


@pytest.mark.real
def test_the_published_baseline_is_reproduced(real_data):
    """Most frequent label of each annotator on Paraphrase: .36 in the table of the shared task."""
    ratings = pd.read_parquet(real_data / "perspectives" / "paraphrase.parquet")
    train, test = (ratings[ratings["split"] == name] for name in ("train", "test"))
    mode = train.groupby("annotator")["label"].agg(lambda labels: labels.value_counts().index[0])
    space = LabelSpace.of(range(-5, 6))
    guess = space.encode(test["annotator"].map(mode).astype(int))
    found = predictions_frame(
        test["text_id"], test["annotator"], np.eye(11)[guess], space, label=test["label"]
    )
    values = evaluate(found, intervals=False).set_index("metric")["value"]
    assert values["absolute_distance"] == pytest.approx(0.362, abs=5e-4)


SETS = ("c", "c+n", "e", "n")


def test_hamming_loss_is_of_single_labels(table, code):
    said = {name: tuple(float(name == one) for one in SETS) for name in SETS}
    rows = [("a", "x", "c+n", said["c"]), ("a", "y", "e", said["n"]), ("b", "x", "n", said["n"])]
    metric = hamming_loss(code(table(rows, SETS)))
    assert metric.value == pytest.approx(((1 / 3 + 2 / 3) / 2 + 0) / 2)
    assert metric.n == 2


def test_marginal_manhattan_is_of_single_labels(table, code):
    even = (0.25, 0.25, 0.25, 0.25)  # c 1/2, e 1/4, n 1/2
    rows = [("a", "x", "c+n", even), ("a", "y", "c", even), ("b", "x", "e", even)]
    metric = soft_marginal_manhattan(code(table(rows, SETS)))
    of_a, of_b = (0.5 + 0.25 + 0.0) * 2 / 3, (0.5 + 0.75 + 0.5) * 2 / 3
    assert metric.value == pytest.approx((of_a + of_b) / 2)


def test_sets_have_metrics_of_their_own(table):
    even = (0.25, 0.25, 0.25, 0.25)
    of_sets = {"hamming_loss", "soft_marginal_manhattan"}
    found = evaluate(table([("a", "x", "c+n", even), ("a", "y", "c", even)], SETS))
    assert of_sets <= set(found["metric"])
    plain = evaluate(table([("a", "x", "c", even), ("a", "y", "d", even)], ("a", "b", "c", "d")))
    assert of_sets.isdisjoint(plain["metric"])


@pytest.mark.real
def test_the_published_baseline_of_sets_is_reproduced(real_data, tmp_path):
    """The most frequent value of every label, which is not given: .345 in the task's table."""
    file = real_data / "perspectives" / "varierr_nli.parquet"
    ratings = read_annotations(file, text="text", join_labels=True)
    test = ratings[ratings["split"] == "test"]
    people = test.groupby("text_id", sort=False).size()
    lines = [f"{name.removeprefix('test-')}\t{[[0] * n] * 3}\n" for name, n in people.items()]
    (tmp_path / "zero.tsv").write_text("".join(lines))
    found = read_submission(tmp_path / "zero.tsv", "lewidi-perspectivist", test)
    values = evaluate(found, intervals=False).set_index("metric")["value"]
    assert values["hamming_loss"] == pytest.approx(0.345, abs=5e-4)
