"""Pairs of texts, from ratings to predictions."""

import numpy as np
import pandas as pd
import pytest

import hyperadapters as ha
from hyperadapters.errors import DataError, RunError
from hyperadapters.experiments import fit, load

PAIRS = [("good red", "bad one"), ("good red", "kind two"), ("bad red", "kind two")]


@pytest.fixture(scope="module")
def ratings(two_kinds):
    """All pairs share their first text: what tells them apart is the second."""
    return two_kinds.assign(text_pair=two_kinds["text"], text="good red")


@pytest.fixture(scope="module")
def pair_run(ratings, tiny_bert, quick, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs") / "run"
    fit(ratings, output=folder, backbone=tiny_bert, **quick)
    return folder


def test_pairs_in_python(pair_run):
    run = ha.load(pair_run)
    assert run.reads_pairs
    table = run.predict(PAIRS, annotators="population")
    assert len(table) == table["text_id"].nunique() == 3
    # Both texts matter.
    assert table["p_toxic"].round(6).nunique() == 3
    frame = pd.DataFrame(PAIRS, columns=["text", "text_pair"])
    pd.testing.assert_frame_equal(run.predict(frame, annotators="population"), table)


def test_the_order_of_a_pair_matters(pair_run):
    run = load(pair_run)
    there = run.predict([("good red", "bad one")], annotators="all")["p_toxic"]
    back = run.predict([("bad one", "good red")], annotators="all")["p_toxic"]
    assert np.abs(there - back).max() > 1e-4


def test_everyone_is_asked_as_row_by_row(pair_run, ratings):
    run = load(pair_run)
    test = ratings[(ratings["split"] == "test") & (ratings["annotator"] != "newcomer")]
    rows = run.predict(test, annotators="rows").set_index(["text_id", "annotator"])
    crossed = run.predict(test, annotators="all").set_index(["text_id", "annotator"])
    np.testing.assert_allclose(crossed.loc[rows.index, "p_toxic"], rows["p_toxic"], atol=1e-5)


def test_single_texts_are_refused(pair_run):
    with pytest.raises(DataError, match="trained on pairs of texts, and these are single texts"):
        load(pair_run).predict(["good red"])


def test_a_run_of_single_texts_stays_as_it_is(quick_run):
    run = load(quick_run)
    assert not run.reads_pairs and "pairs" not in run.record.data
    with pytest.raises(DataError, match="trained on single texts, and these are pairs"):
        run.predict(PAIRS)


def test_a_pair_is_read_once(pair_run, ratings):
    classifier = load(pair_run).fitted
    examples = classifier.examples(ratings)
    assert len(examples.tokens) == ratings["text_pair"].nunique()
    seen = []
    frozen = classifier.backbone.model.base_model.encoder.layer[0].intermediate
    frozen.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    with classifier.states_of(examples):
        kept = classifier.probabilities(examples)
        classifier.probabilities(examples)
    assert sum(seen) == len(examples.tokens)
    np.testing.assert_allclose(classifier.probabilities(examples), kept, atol=1e-5)


def test_the_second_text_is_part_of_the_fingerprint(pair_run, ratings, tiny_bert, quick, tmp_path):
    from hyperadapters.experiments.record import fingerprint

    other = ratings.assign(text_pair=ratings["text_pair"] + " a")
    assert fingerprint(other)["sha256"] != fingerprint(ratings)["sha256"]
    assert fingerprint(other)["pairs"] is True
    with pytest.raises(RunError, match="complete"):
        fit(ratings, output=pair_run, backbone=tiny_bert, resume=True, **quick)


def test_splits_and_leaks_are_of_pairs(ratings, tiny_bert, quick, tmp_path):
    bare = ratings.drop(columns="split")
    split = ha.fit(
        bare, output=tmp_path / "run", method="global-mode", backbone=tiny_bert, **quick
    ).record.data["rows_by_split"]
    assert split.keys() == {"train", "dev", "test"}  # though all have one first text
    leaking = ratings.copy()
    test = leaking.index[leaking["split"] == "test"]
    leaking.loc[test, "text_pair"] = leaking.loc[leaking["split"] == "train", "text_pair"].iloc[0]
    with pytest.raises(DataError, match="more than one split"):
        fit(leaking, output=tmp_path / "leak", backbone=tiny_bert, **quick)
