"""Runs that are told attributes of annotators."""

import json

import numpy as np
import pytest

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.experiments import compare, fit, load

LEARN = {
    **{"epochs": 12, "shared_epochs": 1, "patience": 12, "batch_size": 16, "r": 4},
    **{"deviation_learning_rate": 3e-3, "condition_learning_rate": 5e-2, "shrinkage": 0.05},
    **{
        "head_dropout": 0.0,
        "warmup_epochs": 0.0,
        "adapted_layers": 2,
        "deviating_layers": 1,
        "deviation": "lora",
    },
    **{"learning_rate": 1e-2, "max_length": 32},
}


@pytest.fixture(scope="module")
def described(two_kinds):
    """The attribute says all there is to know of people: those of a kind answer alike."""
    return two_kinds.assign(kind=two_kinds["annotator"].str[0], shoe=two_kinds["annotator"].str[-1])


@pytest.fixture(scope="module")
def run(described, tiny_bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "described"
    fit(
        described, output=folder, method="hyperlora+attributes", backbone=tiny_bert,
        attributes="kind", **LEARN,
    )  # fmt: skip
    return load(folder)


def strangers(described):
    """The test texts, asked of people of each kind whom training never saw."""
    test = described[described["split"] == "test"].drop_duplicates("text")
    both = [test.assign(annotator=f"new {kind}", kind=kind) for kind in ("u", "v")]
    return both[0], both[1]


def test_known_people_and_strangers_are_told_apart(run, described):
    scores = run.scores[(run.scores["split"] == "test") & (run.scores["slice"] == "all")]
    assert float(scores.set_index("metric").loc["accuracy", "value"]) > 0.75  # chance is 0.5
    for rows in strangers(described):
        kind = rows["kind"].iloc[0]
        answers = run.predict(rows.drop(columns=["label", "split"]), annotators="rows")
        assert set(answers["source"]) == {"attributes"}
        of_kind = described[described["annotator"].str.startswith(kind)]
        truth = of_kind.drop_duplicates("text").set_index("text")["label"]
        wanted = rows["text"].map(truth).to_numpy()
        assert (answers["predicted"].to_numpy() == wanted).mean() > 0.75, kind


def test_strangers_of_whom_nothing_is_known_are_the_population(run, described):
    rows, _ = strangers(described)
    for unknown in (rows.drop(columns="kind"), rows.assign(kind="w"), rows.assign(kind=None)):
        answers = run.predict(unknown.drop(columns=["label", "split"]), annotators="rows")
        population = run.predict(rows["text"].tolist(), annotators="population")
        assert set(answers["source"]) == {"population"}
        np.testing.assert_allclose(answers["p_toxic"], population["p_toxic"], atol=1e-5)


def test_everyone_is_asked_with_what_is_known_of_them(run, described):
    texts = described["text"].drop_duplicates().head(5).tolist()
    everyone = run.predict(texts, annotators="all")
    one = everyone["annotator"].iloc[0]
    alone = run.predict(texts, annotators=[one])
    of_one = everyone[everyone["annotator"] == one]
    np.testing.assert_allclose(of_one["p_toxic"], alone["p_toxic"], atol=1e-5)
    assert set(everyone["source"]) == {"known"}


def test_the_folder_says_what_is_known(run):
    people = json.loads(run.folder.people.read_text())
    assert people["attributes"] == {"kind": ["u", "v"]}
    assert people["values"][run.vocabulary.names[0]] == [run.vocabulary.names[0][0]]
    assert run.record.settings["attributes"] == "kind"


def test_attributes_alone(described, tiny_bert, quick, tmp_path):
    made = fit(
        described, output=tmp_path / "run", method="attributes-only", backbone=tiny_bert,
        attributes="kind,shoe", **quick,
    )  # fmt: skip
    again = load(tmp_path / "run")
    rows = described.head(6).drop(columns=["label", "split"])
    alike = rows.assign(annotator=[f"like {name}" for name in rows["annotator"]])
    first, second = again.predict(rows, "rows"), again.predict(alike, "rows")
    np.testing.assert_allclose(first["p_toxic"], second["p_toxic"], atol=1e-6)
    assert set(first["source"]) == {"known"} and set(second["source"]) == {"attributes"}
    assert made.record.results["condition_parameters"] == 0


@pytest.mark.parametrize(
    ("method", "attributes", "error", "message"),
    [
        ("hyperlora", "kind", ConfigError, r"hyperlora is not told attributes \(kind\)"),
        (
            "attributes-only",
            "",
            ConfigError,
            "--attribute age; columns that may be one: kind, shoe",
        ),
        (
            "attributes-only",
            "kid",
            DataError,
            "no column 'kid' of an attribute; did you mean 'kind'",
        ),
    ],
)
def test_mistakes(method, attributes, error, message, described, tiny_bert, quick, tmp_path):
    with pytest.raises(error, match=message):
        fit(
            described, output=tmp_path / "run", method=method, backbone=tiny_bert,
            attributes=attributes, **quick,
        )  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_in_a_comparison_they_are_for_those_that_are_told(described, tiny_bert, quick, tmp_path):
    found = compare(
        described, ["text-only", "attributes-only"], [0], tmp_path / "all", backbone=tiny_bert,
        attributes="kind", **quick,
    )  # fmt: skip
    assert set(found.scores["method"]) == {"text-only", "attributes-only"}


@pytest.mark.parametrize(
    ("methods", "named", "error", "message"),
    [
        (["global-mode", "intercept"], "kind", ConfigError,
         r"none of global-mode, intercept is told attributes \(kind\); methods that are: hyper"),
        (["global-mode"], "nosuch", ConfigError, r"none of global-mode is told .*nosuch"),
        (["global-mode", "attributes-only"], "nosuch", DataError, "there is no column 'nosuch'"),
    ],
)  # fmt: skip
def test_a_comparison_without_use_for_them(methods, named, error, message, described, tmp_path):
    with pytest.raises(error, match=message):
        compare(described, methods, [0], tmp_path / "all", attributes=named)
    assert not (tmp_path / "all").exists()
