"""Every endpoint that asks, and what it says about requests that cannot be used."""

import json

import numpy as np
import pytest

from hyperadapters.experiments import load
from hyperadapters.serving.limits import Limits

TEXT = "bad cruel the two w3"
JSON = {"content-type": "application/json"}


def detail(answer, status):
    assert answer.status_code == status, answer.text
    told = answer.json()["detail"]
    assert isinstance(told, str) and "\n" not in told and "Traceback" not in told
    return told


def test_everyone_is_asked_by_default(client, quick_run):
    found = client.post("/v1/predict", json={"texts": [TEXT, "good warm"]}).json()
    run = load(quick_run)
    wanted = run.predict([TEXT, "good warm"])
    assert found["labels"] == ["fine", "toxic"] and found["simulated"] is False
    assert "not that person's opinion" in found["notice"]
    people = [person for text in found["texts"] for person in text["people"]]
    assert [person["annotator"] for person in people] == wanted["annotator"].tolist()
    assert [person["predicted"] for person in people] == wanted["predicted"].tolist()
    p = np.array([person["p"] for person in people])
    np.testing.assert_allclose(p, wanted[list(run.labels.columns)], atol=1e-5)
    summary = found["texts"][0]["summary"]
    assert summary["n_annotators"] == 12 and sum(summary["share"]) == pytest.approx(1)
    np.testing.assert_allclose(summary["p"], p[:12].mean(axis=0), atol=1e-5)


def test_ids_population_and_no_people(client):
    asked = {"texts": [TEXT], "annotators": ["v1", "u0"]}
    (text,) = client.post("/v1/predict", json=asked).json()["texts"]
    assert [person["annotator"] for person in text["people"]] == ["v1", "u0"]
    asked = {"texts": [TEXT], "annotators": "population"}
    (text,) = client.post("/v1/predict", json=asked).json()["texts"]
    assert [person["source"] for person in text["people"]] == ["population"]
    asked = {"texts": [TEXT], "people": False}
    (text,) = client.post("/v1/predict", json=asked).json()["texts"]
    assert "people" not in text and text["summary"]["n_annotators"] == 12


def test_a_jury_of_people_with_weights(client):
    jury = {"people": ["u0", "v0", "v1"], "weights": {"u0": 3.0, "v1": 0.0}}
    found = client.post("/v1/predict", json={"texts": [TEXT], "jury": jury}).json()
    assert [(m["annotator"], m["weight"]) for m in found["members"]] == [
        *(("u0", 3.0), ("v0", 1.0), ("v1", 0.0))
    ]
    (text,) = found["texts"]
    p = np.array([person["p"] for person in text["people"]])
    np.testing.assert_allclose(text["verdict"]["p"], np.array([3, 1, 0]) @ p / 4, atol=1e-5)
    verdict = text["verdict"]
    assert all(np.array(verdict["low"]) <= verdict["p"])
    assert all(np.array(verdict["high"]) >= verdict["p"])


def test_a_drawn_jury_is_the_same_for_the_same_seed(client):
    def members(seed):
        jury = {"size": 5, "seed": seed}
        found = client.post("/v1/predict", json={"texts": [TEXT], "jury": jury}).json()
        return [member["annotator"] for member in found["members"]]

    assert members(1) == members(1) != members(2)
    assert len(set(members(1))) == 5


def test_who_is_there(client):
    found = client.get("/v1/annotators").json()
    assert found["n_annotators"] == len(found["annotators"]) == 12
    assert all(len(person["place"]) == 2 for person in found["annotators"])
    some = client.get("/v1/annotators", params={"offset": 10, "limit": 5}).json()
    assert some["annotators"] == found["annotators"][10:]
    run = client.get("/v1/run").json()
    assert run["labels"] == ["fine", "toxic"] and run["can_adapt"] and not run["read_only"]
    assert client.get("/v1/annotators", params={"offset": 10**6}).json()["annotators"] == []


def test_health_metrics_and_the_document(client):
    assert client.get("/healthz").json()["status"] == "ok"
    client.post("/v1/predict", json={"texts": ["a text that no metric may hold"]})
    text = client.get("/metrics").text
    assert 'path="/v1/predict",status="200"' in text and "hyperadapters_batch_rows" in text
    assert "no metric may hold" not in text
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/predict", "/v1/annotators", "/v1/adapt", "/v1/forget", "/v1/export"} <= set(paths)


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({}, 422, "texts"),
        ({"texts": []}, 422, "texts"),
        ({"texts": ["  "]}, 422, "text 1 is empty"),
        ({"texts": [["a", "b"]]}, 422, "single texts"),
        ({"texts": ["x" * 20_001]}, 422, "20,001 characters"),
        ({"texts": ["a"] * 1001}, 422, "1,001 texts"),
        ({"texts": ["a"] * 100_000}, 422, "100,000 texts"),
        ({"texts": ["a"], "annotators": []}, 422, "nobody is asked"),
        ({"texts": ["a"], "annotators": ["../../etc/passwd"]}, 404, "nobody is called"),
        ({"texts": ["a"], "annotators": "everyone"}, 422, "annotators"),
        ({"texts": ["a"], "annotator": "u0"}, 422, "annotator"),
        ({"texts": ["a"], "jury": {"people": ["nobody"]}}, 404, "nobody is called"),
        ({"texts": ["a"], "jury": {"where": {"age": ["18"]}}}, 422, "attribute 'age'"),
        ({"texts": ["a"], "jury": {"size": 13}}, 422, "13 are to be drawn"),
        ({"texts": ["a"], "jury": {"size": 0}}, 422, "size"),
        ({"texts": ["a"], "jury": {"people": ["u0"], "weights": {"u0": 0}}}, 422, "weights are 0"),
        ({"texts": ["a"], "jury": {"weights": {"u0": -1}}}, 422, "weights"),
    ],
)
def test_what_cannot_be_used(client, asked, status, words):
    assert words in detail(client.post("/v1/predict", json=asked), status)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b'{"texts": ["\xff\xfe"]}', 400),
        (b'{"texts": ["\\ud800"]}', 422),
        (b"[" * 100_000, 400),
        (b'{"texts": ["a"], "jury": {"weights": {"u0": NaN}}}', 422),
        (b'{"texts": ["a"], "jury": {"weights": {"u0": Infinity}}}', 422),
        (b'{"texts": ["a"], "jury": {"weights": {"u0": 1e999}}}', 422),
        (b'{"texts": ["a"], "jury": {"seed": 99999999999999999999}}', 422),
    ],
)
def test_bodies_that_are_none(client, content, status):
    detail(client.post("/v1/predict", content=content, headers=JSON), status)


def test_another_type_of_body_is_refused(client):
    content = json.dumps({"texts": ["a"]})
    answer = client.post("/v1/predict", content=content, headers={"content-type": "text/plain"})
    assert answer.status_code in (415, 422)


def test_a_refusal_repeats_nothing_of_the_text(client):
    secret = "my secret " * 3
    told = detail(client.post("/v1/predict", json={"texts": {"a": secret}}), 422)
    assert "secret" not in told


def test_sizes(serve):
    client = serve(limits=Limits(body_bytes=2000, rows=30, annotators=5))
    assert "2,000 bytes" in detail(client.post("/v1/predict", json={"texts": ["a" * 3000]}), 413)

    def pieces():
        for _ in range(100):
            yield b" " * 100

    assert "2,000 bytes" in detail(client.post("/v1/predict", content=pieces(), headers=JSON), 413)
    told = detail(client.post("/v1/predict", json={"texts": ["a", "b", "c"]}), 422)
    assert "3 texts times 12 annotators are more than 30" in told
    asked = {"texts": ["a"], "annotators": [f"u{i}" for i in range(6)]}
    assert "6 annotators; at most 5" in detail(client.post("/v1/predict", json=asked), 422)


def test_ten_megabytes_are_refused_as_they_are_and_in_pieces(client):
    content = json.dumps({"texts": ["a" * 10**7]}).encode()
    assert "2,097,152 bytes" in detail(
        client.post("/v1/predict", content=content, headers=JSON), 413
    )
    pieces = (content[start : start + 2**16] for start in range(0, len(content), 2**16))
    assert "2,097,152 bytes" in detail(
        client.post("/v1/predict", content=pieces, headers=JSON), 413
    )
    assert client.post("/v1/predict", json={"texts": ["a"]}).status_code == 200


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "a\x00b", "%2e%2e%2f"])
def test_names_are_no_paths(client, name):
    for path, asked in (
        ("/v1/predict", {"texts": ["a"], "annotators": [name]}),
        ("/v1/export", {"annotator": name}),
        ("/v1/forget", {"annotators": [name]}),
    ):
        assert "nobody is called" in detail(client.post(path, json=asked), 404)


def test_all_requests_together_have_a_limit_too(serve):
    client = serve(limits=Limits(held_bytes=1000))
    asked = {"texts": ["a" * 1000]}
    for _ in range(3):
        assert "at the same time" in detail(client.post("/v1/predict", json=asked), 503)
    for _ in range(30):  # what is over takes no room
        assert client.post("/v1/predict", json={"texts": ["a" * 100]}).status_code == 200


def test_a_full_queue_is_503_and_says_when_to_come_again(serve):
    client = serve(limits=Limits(waiting=0))
    answer = client.post("/v1/predict", json={"texts": ["a"]})
    assert "waiting" in detail(answer, 503) and answer.headers["retry-after"] == "1"
    assert client.get("/healthz").status_code == 200


def test_an_answer_that_takes_too_long_is_given_up(serve):
    client = serve(limits=Limits(answer_seconds=0.0))
    assert "ask for less" in detail(client.post("/v1/predict", json={"texts": ["a"]}), 503)


def test_a_fault_of_ours_tells_and_logs_no_text(serve, monkeypatch, caplog):
    client, text = serve(), "secret"

    def broken(*_):
        raise RuntimeError(text)

    monkeypatch.setattr("hyperadapters.serving.served.answers_to", broken)
    told = detail(client.post("/v1/predict", json={"texts": ["a"]}), 500)
    assert "secret" not in told and "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_the_key(serve):
    client = serve(key="open sesame")
    assert client.get("/healthz").status_code == 200 and client.get("/").status_code == 200
    for path in ("/v1/run", "/v1/annotators", "/metrics"):
        assert "API key" in detail(client.get(path), 401)
        wrong = {"authorization": "Bearer close"}
        assert "is another" in detail(client.get(path, headers=wrong), 401)
        assert client.get(path, headers={"x-api-key": "open sesame"}).status_code == 200
    bearer = {"authorization": "Bearer open sesame"}
    assert client.post("/v1/predict", json={"texts": ["a"]}, headers=bearer).status_code == 200
    assert detail(client.post("/v1/forget", json={"annotators": ["u0"]}), 401)


def test_other_pages_and_other_names_are_not_served(serve):
    client = serve(hosts={"testserver"})
    asked = {"texts": ["a"]}
    other = {"origin": "https://elsewhere.example"}
    assert "other pages" in detail(client.post("/v1/predict", json=asked, headers=other), 403)
    own = {"origin": "http://testserver"}
    assert client.post("/v1/predict", json=asked, headers=own).status_code == 200
    assert "localhost" in detail(client.get("/v1/run", headers={"host": "evil.example"}), 421)


def test_paths_that_are_not_there(client):
    for path in ("/v1/nothing", "/static/../served.py", "/static/%2e%2e/served.py", "/docs"):
        detail(client.get(path), 404)
    detail(client.get("/v1/predict"), 405)


def test_headers_of_every_answer(client):
    for path in ("/", "/v1/run", "/v1/nothing"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
