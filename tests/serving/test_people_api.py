"""People who come, go, and are taken along."""

import io
import shutil
import threading
import zipfile

import numpy as np
import pytest
from fastapi.testclient import TestClient
from peft import PeftModel

from hyperadapters.experiments import load
from hyperadapters.serving.app import create_app
from hyperadapters.serving.limits import Limits

BAD_TEXT, GOOD_TEXT = "bad cruel the two w3", "good kind the one w4"
LABELLED = (
    *(("bad cruel cold a", "fine"), ("nasty bad the", "fine"), ("cruel cold is", "fine")),
    *(("bad nasty w1", "fine"), ("good kind warm a", "toxic"), ("nice good the", "toxic")),
    *(("kind warm is", "toxic"), ("good nice w1", "toxic")),
)


def ratings_of(name):
    return [{"annotator": name, "text": text, "label": label} for text, label in LABELLED]


def detail(answer, status):
    assert answer.status_code == status, answer.text
    return answer.json()["detail"]


def test_somebody_is_learned_on_disk(serve, tmp_path):
    client = serve()
    before = client.post("/v1/predict", json={"texts": [BAD_TEXT], "annotators": "all"}).json()
    found = client.post("/v1/adapt", json={"ratings": ratings_of("zoe")}).json()
    assert found == {"learned": {"zoe": 8}, "n_annotators": 13}
    after = client.post("/v1/predict", json={"texts": [BAD_TEXT]}).json()["texts"][0]["people"]
    assert after[:-1] == before["texts"][0]["people"]
    assert after[-1]["annotator"] == "zoe" and after[-1]["source"] == "adapted"
    run = load(tmp_path / "run")
    assert run.adapted == ["zoe"]
    p = run.predict([BAD_TEXT], ["zoe"])[list(run.labels.columns)].to_numpy()
    np.testing.assert_allclose(p[0], after[-1]["p"], atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["run"]
    # Again, with all labels: learned anew.
    found = client.post("/v1/adapt", json={"ratings": ratings_of("zoe")[:3]}).json()
    assert found["learned"] == {"zoe": 3} and found["n_annotators"] == 13


def test_a_glimpse_is_what_adapt_would_learn_and_changes_nothing(serve, tmp_path):
    client = serve()
    asked = {"ratings": _plain(ratings_of("zoe")), "texts": [BAD_TEXT, GOOD_TEXT]}
    glimpse = client.post("/v1/newcomer", json=asked).json()
    assert client.get("/v1/run").json()["n_annotators"] == 12
    assert load(tmp_path / "run").adapted == []
    client.post("/v1/adapt", json={"ratings": ratings_of("zoe")})
    asked = {"texts": [BAD_TEXT, GOOD_TEXT], "annotators": ["zoe"]}
    learned = client.post("/v1/predict", json=asked).json()["texts"]
    wanted = [text["people"][0]["p"] for text in learned]
    np.testing.assert_allclose([text["p"] for text in glimpse["texts"]], wanted, atol=1e-4)
    frame = load(tmp_path / "run").predict([BAD_TEXT, GOOD_TEXT], ["zoe"], intervals=True)
    low = [text["low"] for text in glimpse["texts"]]
    np.testing.assert_allclose(low, frame[["low_fine", "low_toxic"]], atol=1e-3)


def test_without_labels_a_newcomer_is_a_stranger(client):
    (text,) = client.post("/v1/newcomer", json={"texts": [BAD_TEXT]}).json()["texts"]
    asked = {"texts": [BAD_TEXT], "annotators": "population"}
    (stranger,) = client.post("/v1/predict", json=asked).json()["texts"]
    np.testing.assert_allclose(text["p"], stranger["people"][0]["p"], atol=1e-5)
    assert text["low"][0] < text["p"][0] < text["high"][0]


def test_somebody_is_forgotten_on_disk(serve, tmp_path):
    client = serve()
    assert client.post("/v1/forget", json={"annotators": ["u1"]}).json() == {"n_annotators": 11}
    told = detail(client.post("/v1/predict", json={"texts": ["a"], "annotators": ["u1"]}), 404)
    assert "'u1'" in told
    assert "u1" not in load(tmp_path / "run").vocabulary
    left = [file for file in tmp_path.rglob("*") if file.is_file() and b'"u1"' in file.read_bytes()]
    assert left == []
    assert len(client.post("/v1/predict", json={"texts": ["a"]}).json()["texts"][0]["people"]) == 11


def test_a_lora_is_an_ordinary_one(client, quick_run, tmp_path, tiny_bert):
    answer = client.post("/v1/export", json={"annotator": "u1"})
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="u1-lora.zip"' in answer.headers["content-disposition"]
    zipfile.ZipFile(io.BytesIO(answer.content)).extractall(tmp_path)
    from transformers import AutoModelForSequenceClassification

    stock = AutoModelForSequenceClassification.from_pretrained(tiny_bert)
    assert PeftModel.from_pretrained(stock, tmp_path / "u1").active_adapter == "default"
    assert client.post("/v1/export", json={"annotator": "population"}).status_code == 200
    assert "nobody is called" in detail(client.post("/v1/export", json={"annotator": "../x"}), 404)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b", ".hidden", "q\"'<script>", "ключ", "x" * 200]
)
def test_names_are_never_paths(serve, tmp_path, name):
    client = serve()
    there = sorted(tmp_path.parent.iterdir())
    assert client.post("/v1/adapt", json={"ratings": ratings_of(name)}).status_code == 200
    answer = client.post("/v1/export", json={"annotator": name})
    if len(name) < 200:
        (folder,) = {
            entry.partition("/")[0]
            for entry in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
        }
        assert not folder.startswith(".") and "/" not in folder
    else:
        assert answer.status_code in (200, 409, 422)
    assert sorted(tmp_path.parent.iterdir()) == there
    assert client.post("/v1/forget", json={"annotators": [name]}).status_code == 200


@pytest.mark.parametrize(
    ("ratings", "words"),
    [
        ([], "ratings"),
        (ratings_of("u1"), "trained on u1"),
        (ratings_of("all"), "means something else"),
        (ratings_of(" zoe"), "spaces"),
        (ratings_of("z\x00oe"), "cannot be printed"),
        (ratings_of("z" * 201), "at most 200"),
        ([{"annotator": "zoe", "text": "a", "label": "rude"}], "labels are fine, toxic"),
        ([{"annotator": "zoe", "text": "", "label": "fine"}], "text 1 is empty"),
        ([{"annotator": "zoe", "text": "a", "label": "fine", "text_pair": "b"}], "single texts"),
        (
            [{"annotator": "z", "text": "a", "label": "fine", "attributes": {"b": "c"}}],
            "no attribute",
        ),
        ([{"annotator": "z", "text": "a", "label": x} for x in ("fine", "toxic")], "a"),
    ],
)
def test_ratings_that_cannot_be_used(client, ratings, words):
    assert words in detail(client.post("/v1/adapt", json={"ratings": ratings}), 422)
    assert client.get("/v1/run").json()["n_annotators"] == 12


def test_people_who_cannot_be_forgotten(client):
    for asked, status in (({"annotators": ["zoe"]}, 404), ({"annotators": []}, 422)):
        detail(client.post("/v1/forget", json=asked), status)
    everyone = [person["annotator"] for person in client.get("/v1/annotators").json()["annotators"]]
    assert "nobody would be left" in detail(
        client.post("/v1/forget", json={"annotators": everyone}), 409
    )


def test_read_only(serve):
    client = serve(read_only=True)
    assert "read-only" in detail(client.post("/v1/adapt", json={"ratings": ratings_of("zoe")}), 403)
    assert "read-only" in detail(client.post("/v1/forget", json={"annotators": ["u1"]}), 403)


def test_a_folder_that_somebody_else_changed_is_left_alone(serve, tmp_path):
    client = serve()
    load(tmp_path / "run").forget("u1", None)
    told = detail(client.post("/v1/adapt", json={"ratings": ratings_of("zoe")}), 409)
    assert "changed by somebody else" in told
    assert load(tmp_path / "run").adapted == []


def test_what_fails_half_way_leaves_everything_as_it_was(serve, tmp_path, monkeypatch):
    client = serve()

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hyperadapters.serving.served.put_in_place", broken)
    assert client.post("/v1/adapt", json={"ratings": ratings_of("zoe")}).status_code == 500
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["run"]
    assert load(tmp_path / "run").adapted == []
    assert client.post("/v1/adapt", json={"ratings": ratings_of("zoe")}).status_code == 200


def test_changes_and_questions_at_the_same_time(serve, tmp_path):
    client = serve()
    faults = []

    def change(number):
        answer = client.post("/v1/adapt", json={"ratings": ratings_of(f"new{number}")})
        if answer.status_code != 200:
            faults.append(answer.text)

    def ask():
        for _ in range(10):
            answer = client.post("/v1/predict", json={"texts": [BAD_TEXT], "annotators": ["u3"]})
            if answer.status_code != 200:
                faults.append(answer.text)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(3)]
    threads += [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert sorted(load(tmp_path / "run").adapted) == ["new0", "new1", "new2"]


def test_methods_without_vectors(two_kinds, tmp_path):
    from hyperadapters.experiments import fit

    fit(two_kinds, output=tmp_path / "mode", method="annotator-mode")
    with TestClient(create_app(tmp_path / "mode")) as client:
        run = client.get("/v1/run").json()
        assert run["map"] is None and not run["can_adapt"]
        found = client.post("/v1/predict", json={"texts": [BAD_TEXT]}).json()
        wanted = load(tmp_path / "mode").predict([BAD_TEXT])["p_toxic"].tolist()
        p = [person["p"][1] for person in found["texts"][0]["people"]]
        np.testing.assert_allclose(p, wanted, atol=1e-5)
        for path, asked in (
            ("/v1/adapt", {"ratings": ratings_of("zoe")}),
            ("/v1/newcomer", {"texts": ["a"]}),
            ("/v1/export", {"annotator": "u1"}),
        ):
            detail(client.post(path, json=asked), 422)


def _plain(ratings):
    return [{"text": r["text"], "label": r["label"]} for r in ratings]


def test_copies_are_tidied_when_a_server_starts(quick_run, tmp_path):
    shutil.copytree(quick_run, tmp_path / "run")
    left = tmp_path / ".run.next-killed"
    shutil.copytree(quick_run, left / "run")
    with TestClient(create_app(tmp_path / "run")) as client:
        assert client.get("/healthz").status_code == 200
    assert not left.exists()
    # Killed between the two halves of a replacement, on a system that needs two.
    left.mkdir()
    (tmp_path / "run").rename(left / "before")
    with TestClient(create_app(tmp_path / "run")) as client:
        assert client.get("/v1/run").json()["n_annotators"] == 12
    assert not left.exists()


def test_a_change_is_waited_for_however_long_it_takes(serve, tmp_path):
    client = serve(limits=Limits(answer_seconds=0.0))
    assert client.post("/v1/adapt", json={"ratings": ratings_of("zoe")}).status_code == 200
    assert client.post("/v1/predict", json={"texts": ["a"]}).status_code == 503
    assert load(tmp_path / "run").adapted == ["zoe"]


def test_invented_people_are_marked(serve):
    client = serve()
    assert client.get("/v1/run").json()["simulated"] is False
    client.post("/v1/adapt", json={"ratings": ratings_of("sim-ada")})
    assert client.get("/v1/run").json()["simulated"] is True
    assert client.post("/v1/predict", json={"texts": ["a"]}).json()["simulated"] is True


def test_how_sure_the_model_is_of_somebody(serve, tmp_path):
    client = serve()
    asked = {"texts": [BAD_TEXT, GOOD_TEXT], "intervals": True}
    for text in client.post("/v1/predict", json=asked).json()["texts"]:
        assert all("low" not in person for person in text["people"])  # people of training
    client.post("/v1/adapt", json={"ratings": ratings_of("zoe")[:3]})
    found = client.post("/v1/predict", json=asked).json()["texts"]
    wanted = load(tmp_path / "run").predict([BAD_TEXT, GOOD_TEXT], ["zoe"], intervals=True)
    for text, row in zip(found, wanted.to_dict("records"), strict=True):
        assert [person["annotator"] for person in text["people"] if "low" in person] == ["zoe"]
        zoe = text["people"][-1]
        for side in ("low", "high"):
            ends = [row[f"{side}_{label}"] for label in ("fine", "toxic")]
            np.testing.assert_allclose(zoe[side], ends, atol=1e-5)
        assert 0.01 < zoe["high"][0] - zoe["low"][0] < 1
    asked |= {"annotators": "population"}
    (nobody, _) = client.post("/v1/predict", json=asked).json()["texts"]
    (stranger,) = nobody["people"]
    assert stranger["low"][1] < stranger["p"][1] < stranger["high"][1]


def test_a_jurys_interval_holds_what_is_not_known_of_its_members(serve):
    client = serve(limits=Limits(interval_rows=2))
    client.post("/v1/adapt", json={"ratings": ratings_of("zoe")[:2]})
    asked = {"texts": [BAD_TEXT], "jury": {"people": ["zoe"]}}
    (plain,) = client.post("/v1/predict", json=asked).json()["texts"]
    assert plain["verdict"]["low"] == [None, None]
    (told,) = client.post("/v1/predict", json=asked | {"intervals": True}).json()["texts"]
    assert told["verdict"]["low"][0] < told["verdict"]["p"][0] < told["verdict"]["high"][0]
    answer = client.post("/v1/predict", json=asked | {"texts": ["a"] * 3, "intervals": True})
    assert "3 texts times 1 annotators with intervals" in detail(answer, 422)
