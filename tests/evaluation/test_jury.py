"""Juries of weighted people, from predictions alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hyperadapters as ha
from hyperadapters.errors import ConditionError, ConfigError, DataError
from hyperadapters.evaluation import choose_jurors, jury
from hyperadapters.labels import LabelSpace
from hyperadapters.tables import predictions_frame
from hyperadapters.tables.aggregates import aggregates_of, moments_of

LABELS = LabelSpace(("fine", "toxic"))


def predictions(p_toxic, labels=LABELS, **more):
    """Texts x people of probabilities, of two labels or of several."""
    p = np.asarray(p_toxic, np.float64)
    p = np.stack([1 - p, p], axis=2) if p.ndim == 2 else p
    texts, people = p.shape[:2]
    ids = [f"t{i}" for i in range(texts) for _ in range(people)]
    who = [f"a{i}" for i in range(people)] * texts
    return predictions_frame(ids, who, p.reshape(-1, p.shape[2]), labels, **more)


def test_by_hand():
    table = predictions([[0.9, 0.8, 0.1], [0.4, 0.2, 0.3]])
    found = jury(table, {"a0": 1, "a1": 1, "a2": 3}).set_index("text_id")
    first = found.loc["t0"]
    assert first["p_toxic"] == pytest.approx((0.9 + 0.8 + 0.3) / 5)
    assert (first["verdict"], first["n_jurors"]) == ("fine", 3)
    assert first["dissent"] == pytest.approx(0.4) and first["share_toxic"] == pytest.approx(0.4)
    assert first["disagreement"] == pytest.approx(1 - 0.4**2 - 0.6**2)
    assert first["entropy"] == pytest.approx(-(0.4 * np.log2(0.4) + 0.6 * np.log2(0.6)))
    second = found.loc["t1"]
    assert (second["dissent"], second["entropy"], second["share_fine"]) == (0, 0, 1)
    assert second["p_toxic"] == pytest.approx((0.4 + 0.2 + 0.9) / 5)
    equal = jury(table).set_index("text_id")
    assert equal.loc["t0", "verdict"] == "toxic"
    assert equal.loc["t0", "dissent"] == pytest.approx(1 / 3)


def test_everybody_equally_is_what_aggregates_say():
    rng = np.random.default_rng(1)
    table = predictions(rng.uniform(size=(20, 7)))
    found, aggregates = jury(table), aggregates_of(moments_of(table, LABELS), LABELS)
    assert found["verdict"].tolist() == aggregates["predicted"].tolist()
    for name in ("p_toxic", "share_toxic", "entropy"):
        np.testing.assert_allclose(found[name], aggregates[name], atol=1e-12)


@settings(max_examples=20)
@given(st.integers(2, 9), st.floats(0.01, 50), st.integers(0, 1000))
def test_properties(people, factor, seed):
    rng = np.random.default_rng(seed)
    table = predictions(rng.uniform(size=(5, people)))
    weights = {f"a{i}": float(w) for i, w in enumerate(rng.uniform(0.1, 5, people))}
    found = jury(table, weights)
    p = found[["p_fine", "p_toxic"]].to_numpy()
    low, high = (found[[f"{e}_fine", f"{e}_toxic"]].to_numpy() for e in ("low", "high"))
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (low <= p).all() and (p <= high).all() and (low >= 0).all() and (high <= 1).all()
    assert found["dissent"].between(0, 0.5 + 1e-9).all()
    # Scaled weights and another order of rows are the same jury, others' texts do not matter.
    same = jury(table.iloc[::-1], {n: w * factor for n, w in reversed(weights.items())})
    back = same.iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, back, rtol=1e-9, atol=1e-9)
    alone = jury(table[table["text_id"] == "t3"], weights)
    pd.testing.assert_frame_equal(alone, found[found["text_id"] == "t3"].reset_index(drop=True))


def test_the_interval_is_that_of_a_mean():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.2, 0.8, size=(1, 400))
    (row,) = jury(predictions(p)).to_dict("records")
    wide = 2 * 1.645 * p.std() / np.sqrt(400)
    assert row["high_toxic"] - row["low_toxic"] == pytest.approx(wide, rel=0.1)
    one_voice = jury(predictions([[0.3] * 10])).loc[0]
    assert one_voice["low_toxic"] == pytest.approx(0.3) == one_voice["high_toxic"]


def test_what_is_not_known_of_people_is_added():
    table = predictions([[0.5, 0.5, 0.5, 0.5]])
    spread = 0.1
    half = 1.6448536 * spread
    doubted = table.assign(low_toxic=0.5 - half, high_toxic=0.5 + half)
    doubted = doubted.assign(low_fine=0.5 - half, high_fine=0.5 + half)
    (row,) = jury(doubted).to_dict("records")
    # Four people of equal weight, drawn again: sum of squared shares is 7/16 on average.
    wide = row["high_toxic"] - row["low_toxic"]
    assert wide == pytest.approx(2 * half * np.sqrt(7 / 16), rel=0.1)
    # Alone, somebody's interval is their own; of whom nothing is said there is none.
    alone = jury(doubted, {"a2": 1.0}).loc[0]
    assert alone["high_toxic"] - alone["low_toxic"] == pytest.approx(2 * half, rel=0.1)
    assert np.isnan(jury(table, {"a2": 1.0}).loc[0, "low_toxic"])
    partly = doubted.copy()
    partly.loc[:2, ["low_toxic", "high_toxic", "low_fine", "high_fine"]] = np.nan
    (some,) = jury(partly).to_dict("records")
    assert 0 < some["high_toxic"] - some["low_toxic"] < wide
    with pytest.raises(DataError, match="not in order"):
        jury(doubted.assign(low_toxic=0.9))


def test_labels_on_a_scale():
    labels = LabelSpace((1, 2, 3), "ordinal")
    p = np.eye(3)[[[0, 0, 1, 2, 2]]] * 0.8 + 0.2 / 3
    table = predictions(p, labels)
    assert jury(table).loc[0, "verdict"] == 1  # as many as say 3, and the first
    assert jury(table, decision="median").loc[0, "verdict"] == 2
    assert jury(table, {"a3": 4.0, "a2": 2.0, "a0": 1.0}, decision="median").loc[0, "verdict"] == 3
    with pytest.raises(ConfigError, match="median"):
        jury(predictions([[0.5]]), decision="median")


def test_sets_of_labels():
    labels = LabelSpace(("c", "c+n", "n", "e"))
    p = np.eye(4)[[[1, 1, 2, 3, 3]]] * 0.8 + 0.05
    table = predictions(p, labels)
    assert jury(table).loc[0, "verdict"] == "c+n"  # as many as say e, and the first
    assert jury(table, decision="marginal").loc[0, "verdict"] == "n"  # 3 of 5, c and e 2 of 5
    labels = LabelSpace(("a+b", "b"))
    table = predictions(np.array([[[0.51, 0.49], [0.01, 0.99]]]), labels)
    for rule in ("mode", "marginal"):  # as many jurors, and b is more probable
        assert jury(table, decision=rule).loc[0, "verdict"] == "b"


def test_only_those_who_are_heard_count():
    table = predictions([[0.9, 0.1], [0.9, 0.1]]).drop(index=[3])
    found = jury(table)
    assert found["n_jurors"].tolist() == [2, 1] and found["p_toxic"].tolist() == [0.5, 0.9]
    only = jury(table, {"a1": 1.0})
    assert only["text_id"].tolist() == ["t0"]
    both = pd.concat([table, table.assign(seed=1)])
    assert jury(both)["seed"].tolist() == [0, 0, 1, 1]


def test_who_sits():
    people = [f"a{i}" for i in range(10)]
    told = pd.DataFrame(
        {"annotator": people, "age": ["old", "young"] * 5, "size": [1.0, 2.0, None, 4.0, 5.0] * 2}
    )
    assert choose_jurors(people) == dict.fromkeys(people, 1.0)
    assert choose_jurors(people, {"a3": 2, "a1": 1}) == {"a1": 1.0, "a3": 2.0}
    old = choose_jurors(people, where={"age": "old"}, attributes=told)
    assert list(old) == ["a0", "a2", "a4", "a6", "a8"]
    both = {"age": ["old", "young"], "size": ["1", "4"]}
    assert list(choose_jurors(people, where=both, attributes=told)) == ["a0", "a3", "a5", "a8"]
    drawn = choose_jurors(people, ["a0"], where={"age": "old"}, draw=3, seed=5, attributes=told)
    assert len(drawn) == 4 and set(drawn) <= set(old) and "a0" in drawn
    assert drawn == choose_jurors(
        people[::-1], ["a0"], where={"age": "old"}, draw=3, seed=5, attributes=told
    )
    draws = {tuple(choose_jurors(people, draw=3, seed=s)) for s in range(9)}
    assert len(draws) > 3


def test_mistakes():
    table = predictions([[0.5, 0.5]])
    with pytest.raises(ConditionError, match="unknown jurors: nobody, zoe; there are 2, such as a"):
        jury(table, {"zoe": 1.0, "nobody": 1.0, "a0": 1.0})
    for weight in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="positive number"):
            jury(table, {"a0": weight})
    with pytest.raises(ConfigError, match="nobody is named"):
        jury(table, {})
    people = ["a0", "a1"]
    told = pd.DataFrame({"annotator": people, "age": ["old", "young"]})
    with pytest.raises(ConfigError, match="no attributes are given"):
        choose_jurors(people, where={"age": "old"})
    with pytest.raises(ConfigError, match="no attribute 'agge'; there are: age"):
        choose_jurors(people, where={"agge": "old"}, attributes=told)
    with pytest.raises(ConfigError, match="nobody has age=odl; values that occur: old, young"):
        choose_jurors(people, where={"age": "odl"}, attributes=told)
    with pytest.raises(ConfigError, match="none of the 1 people has age=old"):
        choose_jurors(["a1"], where={"age": "old"}, attributes=told)
    with pytest.raises(ConfigError, match="3 jurors cannot be drawn from 2"):
        choose_jurors(people, draw=3)
    with pytest.raises(DataError, match="several values of 'age'"):
        choose_jurors(people, where={"age": "old"}, attributes=told.assign(annotator="a0"))
    assert ha.jury is jury
