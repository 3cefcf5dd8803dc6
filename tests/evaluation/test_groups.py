import numpy as np
import pandas as pd
import pytest

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.evaluation import evaluate, group_scores
from hyperadapters.labels import LabelSpace
from hyperadapters.tables import predictions_frame


def world(accuracy, n_people=30, n_rows=20, seed=0, n_labels=2):
    """PREDICTIONS and attributes; `accuracy` is group → how often its people are hit."""
    rng = np.random.default_rng(seed)
    people = [f"{group}{i:02}" for group in accuracy for i in range(n_people)]
    rate = np.repeat([accuracy[group] for group in accuracy], n_people)
    person = np.repeat(np.arange(len(people)), n_rows)
    label = rng.integers(n_labels, size=len(person))
    hit = rng.random(len(person)) < rate[person]
    guess = np.where(hit, label, (label + 1) % n_labels)
    p = 0.7 * np.eye(n_labels)[guess] + 0.3 / n_labels
    frame = predictions_frame(
        np.tile(np.arange(n_rows), len(people)),
        np.array(people, dtype=object)[person],
        p,
        LabelSpace.of(range(n_labels)),
        label=label,
    )
    return frame, pd.DataFrame({"annotator": people, "group": [name[0] for name in people]})


def test_scores_of_a_group_are_the_scores_of_its_rows():
    frame, attributes = world({"a": 0.9, "b": 0.6})
    found = group_scores(frame, attributes, "group").scores.set_index(["group", "metric"])
    for name in "ab":
        rows = frame[frame["annotator"].str.startswith(name)]
        alone = evaluate(rows, intervals=False).set_index("metric")["value"]
        for metric in ("accuracy", "macro_f1", "annotator_error_rate", "nll", "brier", "ece"):
            row = found.loc[(name, metric)]
            assert row["value"] == pytest.approx(alone[metric])
            assert row["low"] <= row["value"] <= row["high"]
            assert (row["n_annotators"], row["n"], row["suppressed"]) == (30, 600, False)
        wrong = rows["label"].astype(int) != rows["predicted"]
        for metric, label in (("false_positive_rate", 0), ("false_negative_rate", 1)):
            wanted = wrong[rows["label"] == label].mean()
            assert found.loc[(name, metric), "value"] == pytest.approx(wanted)


def test_only_two_labels_have_false_positives():
    frame, attributes = world({"a": 0.9, "b": 0.6}, n_labels=3)
    metrics = set(group_scores(frame, attributes, "group").gaps["metric"])
    assert metrics == {"accuracy", "macro_f1", "annotator_error_rate", "nll", "brier", "ece"}


def test_a_gap_is_found_and_its_interval_is_that_of_two_means():
    frame, attributes = world({"a": 0.9, "b": 0.6, "c": 0.75})
    found = group_scores(frame, attributes, ["group"], draws=1000)
    gap = found.gaps.set_index("metric").loc["accuracy"]
    values = found.scores.query("metric == 'accuracy'").set_index("group")["value"]
    assert gap["gap"] == pytest.approx(values["a"] - values["b"])
    assert (gap["lowest"], gap["highest"], gap["n_groups"]) == ("b", "a", 3)
    people = (frame["label"].astype(int) == frame["predicted"]).groupby(frame["annotator"]).mean()
    a, b = (people[people.index.str.startswith(name)] for name in "ab")
    error = 1.96 * np.sqrt(a.var(ddof=0) / 30 + b.var(ddof=0) / 30)
    assert gap["high"] - gap["low"] == pytest.approx(2 * error, rel=0.1)
    assert gap["low"] < gap["gap"] < gap["high"]
    assert gap["p_value"] == pytest.approx(1 / 1001)


@pytest.mark.slow
def test_p_values_without_a_difference_are_spread_evenly():
    p = []
    for seed in range(60):
        frame, attributes = world({"a": 0.7, "b": 0.7}, n_people=12, n_rows=10, seed=seed)
        gaps = group_scores(frame, attributes, "group", draws=2, permutations=99, seed=seed).gaps
        p.append(gaps.set_index("metric").loc["nll", "p_value"])
    assert 0.35 < np.mean(p) < 0.65
    assert np.mean(np.array(p) <= 0.05) <= 0.15


def test_small_groups_are_suppressed_and_said_so():
    frame, attributes = world({"a": 0.9, "b": 0.6}, n_people=12)
    attributes.loc[attributes["annotator"].isin(["a00", "a01", "a02"]), "group"] = "few"
    found = group_scores(frame, attributes, "group")
    few = found.scores[found.scores["group"] == "few"]
    assert few["suppressed"].all() and (few["n_annotators"] == 3).all()
    assert few[["value", "low", "high"]].isna().all(axis=None)
    rest = found.scores[found.scores["group"] != "few"]
    assert rest.query("group == 'a'")["suppressed"].all()  # nine are left
    assert found.gaps["gap"].isna().all() and (found.gaps["n_groups"] == 1).all()
    shown = group_scores(frame, attributes, "group", least_people=3)
    assert not shown.scores["suppressed"].any() and (shown.gaps["n_groups"] == 3).all()


def test_people_without_a_value_are_a_group_that_is_not_compared():
    frame, attributes = world({"a": 0.9, "b": 0.6, "c": 0.1}, n_people=12)
    attributes["group"] = attributes["group"].replace("c", None)
    attributes = attributes[attributes["annotator"] != "c00"]  # not there at all
    found = group_scores(frame, attributes, "group")
    assert found.scores["group"].unique().tolist() == ["a", "b", "not given"]
    assert (found.scores.query("group == 'not given'")["n_annotators"] == 12).all()
    accuracy = found.gaps.set_index("metric").loc["accuracy"]
    assert (accuracy["n_groups"], accuracy["lowest"]) == (2, "b")


def test_attributes_taken_together_are_groups_of_both_values():
    frame, people = world({"a": 0.9, "b": 0.6})
    people["age"] = np.where(np.arange(len(people)) % 2, "old", "young")
    people.loc[0, "age"] = " "  # not said: she is in no group of both
    both = people.assign(both=people["group"] + " + " + people["age"])
    found = group_scores(frame, people, ["group + age", "age"], permutations=50)
    wanted = group_scores(frame, both.drop(0), "both", permutations=50)
    of_both = found.scores.query("attribute == 'group + age'")
    assert list(dict.fromkeys(of_both["group"])) == [
        *["a + old", "a + young", "b + old", "b + young", "not given"]
    ]
    columns = ["group", "metric", "value", "n_annotators", "n", "suppressed"]
    pd.testing.assert_frame_equal(
        of_both[columns].reset_index(drop=True), wanted.scores[columns].reset_index(drop=True)
    )
    assert set(found.gaps["attribute"]) == {"group + age", "age"}
    # A column of that very name is what is meant.
    named = both.rename(columns={"both": "group+age"}).drop(columns="age")
    assert set(group_scores(frame, named, "group+age").scores["group"]) >= {"a + old", "b + young"}
    with pytest.raises(ConfigError, match="no column 'height'; there are annotator, group"):
        group_scores(frame, people, "group+height")
    for name in ("group+", "+", "group+group"):
        with pytest.raises(ConfigError, match="wanted different attributes"):
            group_scores(frame, people, name)
    halves = people.assign(age=np.where(people["group"] == "a", "old", ""), group="")
    halves.loc[people["group"] == "b", "group"] = "b"
    with pytest.raises(DataError, match=r"group\+age: nobody has a value of each"):
        group_scores(frame, halves, "group+age")
    with pytest.raises(DataError, match=r"the value 'a \+ b' holds"):
        group_scores(frame, people.assign(age="a + b"), "group+age")


def test_attributes_may_stand_in_the_ratings():
    frame, attributes = world({"a": 0.9, "b": 0.6}, n_people=12)
    ratings = frame[["text_id", "annotator"]].merge(attributes)
    one, many = (group_scores(frame, table, "group") for table in (attributes, ratings))
    pd.testing.assert_frame_equal(one.scores, many.scores)
    pd.testing.assert_frame_equal(one.gaps, many.gaps)


def test_an_undefined_rate_is_nan_and_not_compared():
    frame, attributes = world({"a": 0.9, "b": 0.6}, n_people=12)
    mine = frame["annotator"].str.startswith("a")
    frame.loc[mine, "label"] = 1
    found = group_scores(frame, attributes, "group")
    rate = found.scores.set_index(["group", "metric"]).loc[("a", "false_positive_rate")]
    assert np.isnan(rate["value"]) and not rate["suppressed"]
    gap = found.gaps.set_index("metric").loc["false_positive_rate"]
    assert np.isnan(gap["gap"]) and gap["n_groups"] == 1


def test_what_is_refused():
    frame, attributes = world({"a": 0.9, "b": 0.6}, n_people=12)
    with pytest.raises(ConfigError, match="no column 'age'; there are annotator, group"):
        group_scores(frame, attributes, "age")
    with pytest.raises(ConfigError, match="no attribute is named"):
        group_scores(frame, attributes, [])
    other = attributes.assign(annotator="x" + attributes["annotator"])
    with pytest.raises(DataError, match="none of the annotators"):
        group_scores(frame, other, "group")
    twice = pd.concat([attributes, attributes.assign(group="z")])
    with pytest.raises(DataError, match="annotator 'a00' has several values of 'group'"):
        group_scores(frame, twice, "group")
