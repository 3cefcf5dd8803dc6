"""Tables that are answered in the background."""

import io
import time

import numpy as np
import pandas as pd
import pytest

from hyperadapters.experiments import load
from hyperadapters.serving.limits import Limits

CSV = {"content-type": "text/csv"}
TABLE = 'id,text\na,bad cruel the\nb,"good, kind"\nc,<b>nasty</b>\n'


def send(client, content, **asked):
    return client.post("/v1/tables", content=content, headers=CSV, params=asked)


def fetched(client, content, **asked):
    job = send(client, content, **asked)
    assert job.status_code == 202, job.text
    name = job.json()["id"]
    until = time.monotonic() + 30
    while (told := client.get(f"/v1/tables/{name}").json())["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.02)
    assert told["state"] == "done" and told["done"] == told["n"], told
    answer = client.get(f"/v1/tables/{name}/csv")
    assert client.delete(f"/v1/tables/{name}").status_code == 204
    assert client.get(f"/v1/tables/{name}").status_code == 404
    return pd.read_csv(io.StringIO(answer.text), keep_default_na=False)


def test_one_row_for_every_text(client, quick_run):
    found = fetched(client, TABLE)
    assert found["id"].tolist() == ["a", "b", "c"] and found["text"][1] == "good, kind"
    texts = found["text"].tolist()
    wanted = load(quick_run).predict(texts).groupby("text_id", sort=False)["p_toxic"].mean()
    np.testing.assert_allclose(found["p_toxic"], wanted, atol=1e-5)
    assert {"share_toxic", "predicted", "disagreement"} <= set(found)


def test_words_that_would_be_formulas(client):
    table = '=id,text,n\n=1+1,@bad cruel the,-1\nb,"=HYPERLINK(""x"")",2\n'
    plain = fetched(client, table)
    assert plain["text"].tolist() == ["@bad cruel the", '=HYPERLINK("x")']
    safe = fetched(client, table, spreadsheet=True)
    assert safe["text"].tolist() == ["'@bad cruel the", '\'=HYPERLINK("x")']
    assert safe["'=id"].tolist() == ["'=1+1", "b"] and safe["n"].tolist() == [-1, 2]
    np.testing.assert_allclose(safe["p_toxic"], plain["p_toxic"], atol=1e-6)


def test_one_row_for_every_text_and_person(client):
    found = fetched(client, TABLE, per="person")
    assert len(found) == 36 and found["annotator"].nunique() == 12
    assert found["id"].tolist() == [name for name in "abc" for _ in range(12)]
    np.testing.assert_allclose(found["p_fine"] + found["p_toxic"], 1, atol=1e-5)


def test_nobody_in_particular_and_another_column(client):
    found = fetched(client, "comment,p_toxic\nbad,old\n", text="comment", annotators="population")
    assert len(found) == 1 and float(found["p_toxic"][0]) <= 1
    assert "disagreement" not in found


@pytest.mark.parametrize(
    ("content", "asked", "words"),
    [
        ("a,b\n1,2\n", {}, "no column 'text'; it has: a, b"),
        ("text\n", {}, "no rows"),
        ("text,b\nc\n", {}, "number of fields"),
        ("text,b\n,1\n", {}, "row 2 is empty"),
        (b"text\n\xff\xfe\n", {}, "not UTF-8"),
        (b"", {}, "empty"),
        (b"PK\x03\x04\x00\x00", {}, "zero bytes"),
        ("text\na\n", {"per": "everyone"}, "per"),
        ("text\na\n", {"text": ["a", "b"]}, "one column"),
    ],
)
def test_tables_that_cannot_be_used(client, content, asked, words):
    answer = send(client, content, **asked)
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"] and "/tmp" not in answer.json()["detail"]


def test_limits_of_tables(serve):
    client = serve(limits=Limits(table_bytes=500, table_rows=30, tables=1))
    assert send(client, "text\n" + "a" * 500).status_code == 413
    assert "hyperadapters predict" in send(client, "text\na\nb\nc\n").json()["detail"]
    assert send(client, "text\na\n").status_code == 202
    assert send(client, "text\na\n").status_code == 429


def test_the_type_must_be_that_of_a_table(client):
    assert client.post("/v1/tables", json={"texts": ["a"]}).status_code == 415


def test_tables_of_nobody(client):
    for path in ("/v1/tables/nothing", "/v1/tables/..%2f..%2fetc/csv", "/v1/tables/nothing/csv"):
        assert client.get(path).status_code == 404
    assert client.delete("/v1/tables/nothing").status_code == 404
