"""Newcomers in one pass: from `train --set amortised=true` to `adapt --amortised`."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from hyperadapters.cli.main import app
from hyperadapters.errors import ConfigError, RunError
from hyperadapters.experiments import fit, load
from newcomers import LEARN, answers, newcomers

HEAD = {**LEARN, "deviation": "head", "taste_rank": 2, "shrinkage": 0.01}


@pytest.fixture(scope="module")
def amortised(tmp_path_factory, tiny_bert, two_kinds):
    folder = tmp_path_factory.mktemp("runs") / "amortised"
    fit(two_kinds, output=folder, backbone=tiny_bert, amortised=True, **HEAD)
    return load(folder)


def test_one_pass_gives_newcomers_answers_of_their_own(amortised, two_kinds, tmp_path):
    names = [*amortised.vocabulary.names, "population"]
    found = {
        name: amortised.adapt(newcomers(two_kinds), tmp_path / name, **how)
        for name, how in {
            "one pass": {"amortised": True},
            "steps": {"amortised": True, "steps": 50},
            "found": {},
        }.items()
    }
    for run in found.values():
        pd.testing.assert_frame_equal(
            *(answers(r, two_kinds, names) for r in (amortised, run)), rtol=0, atol=0
        )
        assert set(answers(run, two_kinds, ["new u", "new v"])["source"]) == {"adapted"}
    given = {
        name: answers(run, two_kinds, ["new u", "new v"])["p_toxic"].to_numpy()
        for name, run in found.items()
    }
    strangers = answers(amortised, two_kinds, ["population"])["p_toxic"].to_numpy()
    assert np.abs(given["one pass"] - np.tile(strangers, 2)).max() > 0.01
    # Wherever the search begins, it ends at the most probable vectors.
    np.testing.assert_allclose(given["steps"], given["found"], atol=1e-3)


def test_the_set_encoder_is_part_of_every_run_that_follows(amortised, two_kinds, tmp_path):
    second = amortised.adapt(newcomers(two_kinds), tmp_path / "second", amortised=True)
    again = newcomers(two_kinds).replace({"annotator": {"new u": "later u", "new v": "later v"}})
    third = second.adapt(again, tmp_path / "third", amortised=True)
    one, other = (answers(third, two_kinds, [f"{when} u"])["p_toxic"] for when in ("new", "later"))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_on_the_command_line(amortised, two_kinds, quick_run, tmp_path):
    newcomers(two_kinds).to_csv(tmp_path / "new.csv", index=False)
    command = ["adapt", str(amortised.folder.path), "--input", str(tmp_path / "new.csv")]
    done = CliRunner().invoke(app, [*command, "--amortised", "--output", str(tmp_path / "second")])
    assert done.exit_code == 0, done.output
    adapted = json.loads((tmp_path / "second" / "run.json").read_text("utf-8"))["adapted"]
    assert {name: of["labels"] for name, of in adapted.items()} == {"new u": 8, "new v": 8}
    command[1] = str(quick_run)
    none = CliRunner().invoke(app, [*command, "--amortised", "--output", str(tmp_path / "third")])
    assert none.exit_code != 0 and "has no set encoder" in str(none.exception)


def test_what_cannot_be(amortised, two_kinds, quick, tiny_bert, tmp_path):
    with pytest.raises(ConfigError, match="head alone"):
        fit(two_kinds, output=tmp_path / "run", backbone=tiny_bert, amortised=True, **quick)
    path = amortised.folder.set_encoder
    before = path.read_bytes()
    try:
        path.write_bytes(before[:100])
        with pytest.raises(RunError, match="set_encoder"):
            amortised.adapt(newcomers(two_kinds), tmp_path / "second", amortised=True)
    finally:
        path.write_bytes(before)
