import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from hyperadapters.evaluation import evaluate
from hyperadapters.labels import LabelSpace
from hyperadapters.tables import predictions_frame, write_predictions, write_scores


def answers(method, skill, labels=("fine", "toxic"), seed=0, people=12, texts=30):
    """PREDICTIONS by people who differ in how often they say the second label."""
    rng = np.random.default_rng(3)
    text, person = (cells.ravel() for cells in np.mgrid[:texts, :people])
    bad = rng.random(texts)[text]
    strict = np.linspace(-0.4, 0.4, people)[person]
    true = (bad + strict + 0.1 * rng.normal(size=len(text)) > 0.5).astype(int) % len(labels)
    p = np.full((len(text), len(labels)), 0.1 / max(1, len(labels) - 1))
    noise = np.random.default_rng(seed).random(len(text)) < skill
    p[np.arange(len(text)), np.where(noise, true, 1 - true)] += 0.9
    p /= p.sum(axis=1, keepdims=True)
    space = LabelSpace.of(labels)
    return predictions_frame(
        *([f"t{i:02}" for i in text], [f"p{i:02}" for i in person], p, space),
        label=np.asarray(space.names, dtype=object)[true],
        method=method,
        seed=seed,
    )


def write_run(folder, predictions, *, vectors=None, attributes=None, parameters=(5000, 120)):
    """A run folder as `fit` leaves it, of everything that a report reads."""
    folder.mkdir(parents=True)
    method, seed = str(predictions["method"].iloc[0]), int(predictions["seed"].iloc[0])
    people = sorted(set(predictions["annotator"]))
    results = {"trainable_parameters": parameters[0], "seconds": 12.5}
    if parameters[1]:
        results["condition_parameters"] = parameters[1]
    record = {
        **{"method": method, "backbone": "minilm", "seed": seed, "settings": {"epochs": 3}},
        "data": {
            **{"rows": 1000, "texts": 90, "annotators": len(people), "sha256": "ab" * 32},
            "rows_by_split": {"train": 640, "test": 360},
        },
        **{"versions": {"python": "3.11"}, "complete": True, "results": results, "format": 1},
    }
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "vocabulary.json").write_text(json.dumps({"names": people}))
    write_predictions(predictions, folder / "predictions.parquet")
    write_scores(evaluate(predictions), folder / "scores.json")
    if vectors is not None:
        name = "base_model.hyperadapter_network"
        tensors = {f"{name}.encoders.annotator_ids.vectors": np.asarray(vectors, np.float32)}
        for end, shape in (("a", (4, 32)), ("b", (32, 4))):
            tensors[f"{name}.sources.0.source.shared.sites.0.{end}"] = np.zeros(shape, np.float32)
        tensors["base_model.model.classifier.bias"] = np.zeros(100, np.float32)
        save_file(tensors, folder / "adapter_model.safetensors")
    if attributes is not None:
        told = {
            name: sorted({row[i] for row in attributes[1].values()})
            for i, name in enumerate(attributes[0])
        }
        (folder / "people.json").write_text(
            json.dumps({"attributes": told, "values": attributes[1]})
        )
    return folder


def personal_vectors(people=12, width=6):
    """Vectors whose first axis is how strict somebody is."""
    rng = np.random.default_rng(1)
    vectors = 0.05 * rng.normal(size=(people, width))
    vectors[:, 0] += np.linspace(-1, 1, people)
    return vectors


@pytest.fixture(scope="session")
def make():
    """`answers`, `write_run` and `personal_vectors` for tests of their own."""
    return type(
        "Make",
        (),
        {
            "answers": staticmethod(answers),
            "run": staticmethod(write_run),
            "vectors": staticmethod(personal_vectors),
        },
    )


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Three methods, two seeds each. Do not change it."""
    folder = tmp_path_factory.mktemp("runs") / "all"
    for seed in (0, 1):
        for method, skill in (("hyperlora", 0.9), ("text-only", 0.75), ("global-mode", 0.65)):
            vectors = personal_vectors() if method == "hyperlora" else None
            sizes = (5000, 120) if method == "hyperlora" else (4000, 0)
            write_run(
                folder / method / f"seed-{seed}",
                answers(method, skill, seed=seed),
                vectors=vectors,
                parameters=sizes,
            )
    return folder


@pytest.fixture(scope="session")
def ratings():
    """The ratings behind `runs`: its test rows, and train rows of other texts."""
    table = answers("any", 1.0)[["text_id", "annotator", "label"]].astype(object)
    table["split"] = "test"
    table["text"] = "words of " + table["text_id"]
    train = table.assign(
        text_id="r" + table["text_id"], text="seen " + table["text"], split="train"
    )
    more = train["annotator"].map(lambda who: int(who[1:])) >= train.groupby("annotator").cumcount()
    return pd.concat([table, train.loc[more]], ignore_index=True)
