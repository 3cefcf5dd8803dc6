import pytest

from hyperadapters.errors import ConfigError, DataError
from hyperadapters.experiments.tasks import fit_tasks
from hyperadapters.experiments.tasks.data import MixtureData
from hyperadapters.experiments.tasks.record import examples_fingerprint


def test_rows_of_splits(toy, tmp_path):
    data = MixtureData.read(toy.write_mixture(tmp_path))
    assert set(data.rows("dev", "test")["split"]) == {"dev", "test"}
    assert len(data.rows("train")) == 72
    assert data.without_dev == []
    assert data.fingerprint is data.fingerprint


def test_a_fingerprint_tells_examples_apart(toy, tmp_path):
    examples = MixtureData.read(toy.write_mixture(tmp_path, "tone", "where")).examples
    first = examples_fingerprint(examples)
    assert first["rows"] == len(examples)
    assert examples_fingerprint(examples.copy()) == first
    for column, value in (("source", "x"), ("target", None), ("split", "dev"), ("context", "c")):
        changed = examples.copy()
        changed.loc[0, column] = value
        assert examples_fingerprint(changed)["sha256"] != first["sha256"], column


def test_metrics_are_checked_before_files_are_read(toy, tmp_path):
    path = toy.write_mixture(tmp_path, "colour", colour={"metrics": ["f1"]})
    (tmp_path / "colour.jsonl").write_text("{")
    with pytest.raises(ConfigError, match="f1"):
        MixtureData.read(path)


def test_tasks_without_dev_rows(toy, tiny_t5, tmp_path, monkeypatch):
    """Rules carve dev from train, so that this takes limits or a strange file."""
    from hyperadapters.experiments.tasks import data as module

    path = toy.write_mixture(tmp_path)
    read = module.read_examples

    def without(mixture, gone):
        examples = read(mixture)
        kept = ~(examples["task"].isin(gone) & (examples["split"] == "dev"))
        return examples[kept].reset_index(drop=True)

    monkeypatch.setattr(module, "read_examples", lambda m: without(m, ["tone"]))
    assert MixtureData.read(path).without_dev == ["tone"]
    run = fit_tasks(path, output=tmp_path / "run", backbone=tiny_t5, **toy.QUICK)
    assert run.record.results["best"]["dev"].keys() == {"colour"}
    monkeypatch.setattr(module, "read_examples", lambda m: without(m, ["tone", "colour"]))
    with pytest.raises(DataError, match="no trained task has dev rows"):
        MixtureData.read(path)
