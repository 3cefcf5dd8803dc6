"""Juries of the people of a run."""

import numpy as np
import pandas as pd
import pytest

from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.evaluation import jury
from hyperadapters.experiments import load
from hyperadapters.inference import question

TEXTS = ["good kind red", "bad cruel the the", "nice", "cold one"]
KINDS = pd.DataFrame({"annotator": [f"{k}{i}" for k in "uv" for i in range(6)]})
KINDS = KINDS.assign(kind=KINDS["annotator"].str[0])


@pytest.fixture(scope="module")
def run(quick_run):
    return load(quick_run)


@pytest.fixture(scope="module")
def adapted(run, tmp_path_factory):
    new = pd.DataFrame({"text": ["bad red", "good one"], "label": ["toxic", "fine"]})
    return run.adapt(new.assign(annotator="zoe"), tmp_path_factory.mktemp("runs") / "second")


def test_it_is_the_jury_of_what_the_run_predicts(run):
    weights = {"u0": 1, "v3": 2.5}
    expected = jury(run.predict(TEXTS, list(weights)), weights, seed=4)
    pd.testing.assert_frame_equal(run.jury(TEXTS, weights, seed=4), expected)
    everybody = run.jury(TEXTS)
    pd.testing.assert_frame_equal(everybody, jury(run.predict(TEXTS)))
    assert set(everybody["n_jurors"]) == {12}


@pytest.mark.parametrize("chunk", [1, 5, 12, 30])
def test_chunks_do_not_matter(run, chunk, monkeypatch):
    whole = run.jury(TEXTS)
    monkeypatch.setattr(question, "CHUNK_ROWS", chunk)
    pd.testing.assert_frame_equal(run.jury(TEXTS), whole, rtol=1e-5)


def test_by_attributes_and_by_lot(run, adapted):
    by_kind = run.jury(TEXTS, where={"kind": "u"}, draw=3, seed=1, attributes=KINDS)
    assert set(by_kind["n_jurors"]) == {3}
    again = run.jury(TEXTS, where={"kind": "u"}, draw=3, seed=1, attributes=KINDS)
    pd.testing.assert_frame_equal(by_kind, again)
    with pytest.raises(ConfigError, match="told no attributes of people; give a table"):
        run.jury(TEXTS, where={"kind": "u"})


def test_what_is_not_known_of_new_people_widens_the_interval(adapted):
    alone = adapted.jury(TEXTS, ["zoe"])
    own = adapted.predict(TEXTS, ["zoe"], intervals=True)
    width = (alone["high_toxic"] - alone["low_toxic"]).to_numpy()
    np.testing.assert_allclose(width, own["high_toxic"] - own["low_toxic"], rtol=0.15, atol=0.02)
    others = adapted.jury(TEXTS, ["u0", "zoe"])
    plain = jury(adapted.predict(TEXTS, ["u0", "zoe"]))
    wider = (others["high_toxic"] - others["low_toxic"]) >= (
        plain["high_toxic"] - plain["low_toxic"] - 1e-9
    )
    assert wider.all()


def test_unknown_people(run):
    with pytest.raises(ConditionError, match="unknown jurors: nobody; there are 12, such as u0"):
        run.jury(TEXTS, ["u0", "nobody"])
    with pytest.raises(ConditionError, match="unknown jurors: population"):
        run.jury(TEXTS, ["population"])
