import numpy as np
import pandas as pd
import pytest

from hyperadapters.evaluation import evaluate
from hyperadapters.evaluation.lewidi import absolute_distance, error_rate
from hyperadapters.labels import LabelSpace
from hyperadapters.tables import predictions_frame


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
