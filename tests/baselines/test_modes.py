import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.baselines import (
    AnnotatorMode,
    GlobalMode,
    annotator_mode,
    global_mode,
    mode_from_dict,
)
from hyperadapters.errors import ConfigError, DataError
from hyperadapters.evaluation import evaluate
from hyperadapters.labels import LabelSpace


def annotations(labels, people=None):
    people = ["x"] * len(labels) if people is None else people
    ids = [f"t{i}" for i in range(len(labels))]
    return pd.DataFrame({"text_id": ids, "text": "…", "annotator": people, "label": labels})


@pytest.fixture
def train():
    return annotations([0, 0, 0, 1, 1], ["x", "x", "x", "y", "y"])


@pytest.fixture
def asked():
    return annotations([1, 0, 0], ["x", "y", "new"])


def test_global_mode_by_hand(train, asked):
    table = global_mode(train).predict(asked, split="dev", seed=4)
    # counts 3 and 2, one added to each: 4/7 and 3/7
    assert np.allclose(table[["p_0", "p_1"]], [[4 / 7, 3 / 7]] * 3)
    assert table["predicted"].tolist() == [0, 0, 0]
    assert table["label"].tolist() == [1, 0, 0]
    assert table["source"].tolist() == ["known", "known", "population"]
    assert table.iloc[0][["split", "method", "seed"]].tolist() == ["dev", "global-mode", 4]


def test_annotator_mode_by_hand(train, asked):
    table = annotator_mode(train).predict(asked)
    # x: (3 + 4/7) / 4 = 25/28; y: (0 + 4/7) / 3 = 4/21; new: 4/7
    assert np.allclose(table["p_0"], [25 / 28, 4 / 21, 4 / 7])
    assert table["predicted"].tolist() == [0, 1, 0]
    assert table["source"].tolist() == ["known", "known", "population"]
    assert set(table["method"]) == {"annotator-mode"}


def test_strength_is_the_number_of_rows_that_everyone_counts_for(train, asked):
    table = AnnotatorMode.fit(train, strength=0.5).predict(asked)
    assert table["p_0"][0] == pytest.approx((3 + 0.5 * 4 / 7) / 3.5)


@pytest.mark.parametrize("strength", [0.0, -1.0, 1.5])
def test_strength_must_not_outweigh_a_row(train, strength):
    with pytest.raises(ConfigError, match="strength must be above 0 and at most 1, got"):
        AnnotatorMode.fit(train, strength=strength)


def test_rows_keep_their_own_split_and_need_no_label(train):
    asked = pd.DataFrame({"text_id": [1, 2], "annotator": ["x", "y"], "split": ["dev", "test"]})
    table = annotator_mode(train).predict(asked)
    assert table["split"].tolist() == ["dev", "test"]
    assert table["label"].isna().all()


def test_ties(asked):
    tied = annotations([1, 0, 2, 2, 1], ["x", "x", "y", "y", "z"])
    # everyone: counts 1, 2, 2: label 1 comes first; x: 0 and 1 tie, 1 is more usual
    assert set(global_mode(tied).predict(asked)["predicted"]) == {1}
    assert annotator_mode(tied).predict(asked)["predicted"].tolist() == [1, 2, 1]


def test_labels_that_training_never_showed(train, asked):
    labels = LabelSpace((0, 1, 2))
    table = annotator_mode(train, labels).predict(asked)
    assert (table["p_2"] > 0).all()
    assert np.allclose(table[["p_0", "p_1", "p_2"]].sum(axis=1), 1)


def test_training_rows_are_needed():
    for fit in (global_mode, annotator_mode):
        with pytest.raises(DataError, match="training rows: no row has a label"):
            fit(annotations([None, None]))


def test_labels_must_be_known(train, asked):
    with pytest.raises(DataError, match=r"labels \['1'\] are not among those of the run \(0, 2\)"):
        global_mode(train, LabelSpace((0, 2)))
    with pytest.raises(DataError, match=r"column 'label' holds \['9'\]"):
        global_mode(train).predict(asked.assign(label=9))


def test_rows_without_a_label_do_not_count(train, asked):
    more = pd.concat([train, annotations([None, None], ["x", "w"])])
    for fit in (global_mode, annotator_mode):
        pd.testing.assert_frame_equal(fit(more).predict(asked), fit(train).predict(asked))


@pytest.mark.parametrize("fit", [global_mode, annotator_mode])
def test_there_and_back_through_json(fit, train, asked):
    model = fit(train)
    again = mode_from_dict(json.loads(json.dumps(model.to_dict())))
    assert again == model
    assert type(again).from_dict(model.to_dict()) == model
    pd.testing.assert_frame_equal(again.predict(asked), model.predict(asked))


def test_another_method_is_refused():
    with pytest.raises(ConfigError, match="one of global-mode, annotator-mode, got 'hyperlora'"):
        mode_from_dict({"method": "hyperlora"})


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_predicted_is_most_frequent_and_most_probable(data):
    row = st.tuples(st.sampled_from("uvwx"), st.integers(0, 3))
    rows = data.draw(st.lists(row, min_size=1, max_size=40))
    strength = data.draw(st.floats(0.01, 1))
    people, given_labels = zip(*rows, strict=True)
    labels = LabelSpace(tuple(range(4)))
    train = annotations(list(given_labels), list(people))
    asked = annotations([0] * 5, list("uvwxy"))
    names = list(labels.columns)
    everyone = np.bincount(given_labels, minlength=4)
    for model in (
        GlobalMode.fit(train, labels),
        AnnotatorMode.fit(train, labels, strength=strength),
    ):
        table = model.predict(asked)
        values = table[names].to_numpy()
        assert (values > 0).all()
        assert np.allclose(values.sum(axis=1), 1)
        assert values.argmax(axis=1).tolist() == table["predicted"].tolist()
        for who, predicted in zip(asked["annotator"], table["predicted"], strict=True):
            own = np.bincount(train["label"][train["annotator"] == who], minlength=4)
            counts = everyone if isinstance(model, GlobalMode) or not own.any() else own
            # most frequent; then most frequent of all; then first
            best = max(range(4), key=lambda k: (counts[k], everyone[k], -k))
            assert predicted == best


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "where", "pooled", "single"),
    [
        ("md_agreement", "known", 0.598, 0.386),
        ("popquorn_offensiveness", "all", 0.294, 0.305),
        ("hs_brexit", "all", 0.465, 0.464),
    ],
)
def test_annotator_mode_reaches_the_floors_that_were_measured_before(
    real_data, name, where, pooled, single
):
    frame = pd.read_parquet(real_data / "perspectives" / f"{name}.parquet")
    model = annotator_mode(frame[frame["split"] == "train"])
    scores = evaluate(model.predict(frame[frame["split"] == "test"]), intervals=False)
    values = scores[scores["slice"] == where].set_index("metric")["value"]
    assert round(values["macro_f1"], 3) == pooled
    assert round(values["annotator_macro_f1"], 3) == single
