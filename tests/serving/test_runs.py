"""Runs of every kind are served: all methods, pairs, scales, attributes."""

import numpy as np
import pytest
from fastapi.testclient import TestClient

from hyperadapters.experiments import fit, load
from hyperadapters.serving.app import create_app

TEXTS = ["bad cruel the two w3", "good"]
METHODS = (
    *("hyperlora-paper", "text-only", "intercept", "annotator-embedding", "multi-head"),
    *("user-token", "lora-per-annotator", "majority", "global-mode"),
)


def asked_of(client, **asked):
    answer = client.post("/v1/predict", json=asked)
    assert answer.status_code == 200, answer.text
    return np.array([[p["p"] for p in text["people"]] for text in answer.json()["texts"]])


USUAL = ("hyperlora", "multi-head", "user-token", "global-mode")


@pytest.mark.parametrize(
    "method", [m if m in USUAL else pytest.param(m, marks=pytest.mark.slow) for m in METHODS]
)
def test_every_method(two_kinds, tiny_bert, quick, tmp_path, method):
    fast = {} if method == "global-mode" else {"backbone": tiny_bert, **quick, "epochs": 1}
    if method == "hyperlora-paper":
        fast = {"backbone": tiny_bert, "epochs": 1, "max_length": 32}
    fit(two_kinds, output=tmp_path / "run", method=method, **fast)
    run = load(tmp_path / "run")
    with TestClient(create_app(tmp_path / "run")) as client:
        told = client.get("/v1/run").json()
        everyone = asked_of(client, texts=TEXTS)
        few = asked_of(client, texts=TEXTS, annotators=["u0", "v1"])
        wanted = run.predict(TEXTS)[list(run.labels.columns)].to_numpy().reshape(everyone.shape)
        np.testing.assert_allclose(everyone, wanted, atol=1e-5)
        places = run.vocabulary.indices(["u0", "v1"])
        np.testing.assert_allclose(few, wanted[:, places], atol=1e-5)
        # What the page offers is what the server does.
        export = client.post("/v1/export", json={"annotator": "u0"})
        assert (export.status_code == 200) == told["can_export"], export.text[:200]
        newcomer = client.post("/v1/newcomer", json={"texts": TEXTS})
        assert (newcomer.status_code == 200) == told["can_adapt"], newcomer.text[:200]
        assert client.get("/v1/annotators").status_code == 200


def test_pairs(two_kinds, tiny_bert, quick, tmp_path):
    ratings = two_kinds.assign(text_pair=two_kinds["text"], text="good red")
    fit(ratings, output=tmp_path / "run", backbone=tiny_bert, **quick)
    pairs = [["good red", "bad one"], ["good red", "kind two"]]
    run = load(tmp_path / "run")
    with TestClient(create_app(tmp_path / "run")) as client:
        assert client.get("/v1/run").json()["pairs"]
        few = asked_of(client, texts=pairs, annotators=["u0"])
        wanted = run.predict(pairs, ["u0"])[list(run.labels.columns)].to_numpy()
        np.testing.assert_allclose(few[:, 0], wanted, atol=1e-5)
        np.testing.assert_allclose(asked_of(client, texts=pairs)[:, 0], wanted, atol=1e-5)
        single = client.post("/v1/predict", json={"texts": ["good"]})
        assert single.status_code == 422 and "pairs" in single.json()["detail"]
        rating = {"text": "good red", "text_pair": "bad one", "label": "fine"}
        asked = {"texts": pairs, "ratings": [rating]}
        assert client.post("/v1/newcomer", json=asked).status_code == 200
        ratings = [{**rating, "annotator": "zoe"}]
        assert client.post("/v1/adapt", json={"ratings": ratings}).status_code == 200
        without = {"annotator": "z", "text": "good", "label": "fine"}
        assert client.post("/v1/adapt", json={"ratings": [without]}).status_code == 422


def test_a_scale_with_numbers_for_labels(two_kinds, tiny_bert, quick, tmp_path):
    steps = two_kinds["text_id"].str[1:].astype(int) % 3
    ratings = two_kinds.assign(label=steps)
    fit(ratings, output=tmp_path / "run", backbone=tiny_bert, **quick, decision="median")
    run = load(tmp_path / "run")
    with TestClient(create_app(tmp_path / "run")) as client:
        found = client.post("/v1/predict", json={"texts": TEXTS, "jury": {"size": 3}}).json()
        assert found["labels"] == [0, 1, 2]
        said = [p["predicted"] for p in found["texts"][0]["people"]]
        members = [member["annotator"] for member in found["members"]]
        assert said == run.predict(TEXTS[:1], members)["predicted"].tolist()
        for label, status in ((1, 200), ("1", 200), (7, 422)):
            ratings = [{"annotator": f"z{label}", "text": "good", "label": label}]
            assert client.post("/v1/adapt", json={"ratings": ratings}).status_code == status


def test_attributes(two_kinds, tiny_bert, quick, tmp_path):
    ratings = two_kinds.assign(kind=two_kinds["annotator"].str[0])
    fit(
        ratings, output=tmp_path / "run", method="hyperlora+attributes", backbone=tiny_bert,
        attributes="kind", **quick,
    )  # fmt: skip
    run = load(tmp_path / "run")
    with TestClient(create_app(tmp_path / "run")) as client:
        assert client.get("/v1/run").json()["attributes"] == {"kind": ["u", "v"]}
        first = client.get("/v1/annotators").json()["annotators"][0]
        assert first["attributes"] == {"kind": "u"}
        few = asked_of(client, texts=TEXTS, annotators=["u0", "v1"])
        wanted = run.predict(TEXTS, ["u0", "v1"])[list(run.labels.columns)].to_numpy()
        np.testing.assert_allclose(few.reshape(wanted.shape), wanted, atol=1e-5)
        asked = {"texts": TEXTS, "jury": {"where": {"kind": ["v"]}, "size": 4}}
        members = client.post("/v1/predict", json=asked).json()["members"]
        assert len(members) == 4 and all(m["annotator"].startswith("v") for m in members)
        asked["jury"] = {"where": {"kind": ["w"]}}
        assert "would be empty" in client.post("/v1/predict", json=asked).json()["detail"]
        rating = {"annotator": "zoe", "text": "good", "label": "toxic"}
        told = [{**rating, "attributes": {"kind": "v"}}]
        assert client.post("/v1/adapt", json={"ratings": told}).status_code == 200
        last = client.get("/v1/annotators").json()["annotators"][-1]
        assert last == {**last, "annotator": "zoe", "attributes": {"kind": "v"}, "labels": 1}
