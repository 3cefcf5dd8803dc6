import pandas as pd

from hyperadapters.experiments.tasks.answers import dev_sample, dev_scores
from hyperadapters.experiments.tasks.data import MixtureData


def test_the_dev_sample_is_the_same_for_all(toy, tmp_path):
    other = {"like": "tone", "file": "tone.csv", "evaluate_only": True}
    data = MixtureData.read(toy.write_mixture(tmp_path, "tone", "colour", other=other))
    sample = dev_sample(data.examples, data.known, 5)
    assert sample.groupby("task").size().to_dict() == {"tone": 5, "colour": 5}
    assert set(sample["split"]) == {"dev"}
    pd.testing.assert_frame_equal(sample, dev_sample(data.examples, data.known, 5))
    # A larger sample holds the smaller one, and another task beside it changes nothing.
    more = dev_sample(data.examples, data.known, 8)
    assert set(sample["text_id"]) <= set(more["text_id"])
    alone = MixtureData.read(toy.write_mixture(tmp_path, "colour"))
    mine = dev_sample(alone.examples, alone.known, 5)["text_id"].tolist()
    assert mine == sample.loc[sample["task"] == "colour", "text_id"].tolist()
    assert len(dev_sample(data.examples, data.known, 0)) == 24


def test_scores_as_training_reads_them():
    names = ["slice", "metric", "value"]
    rows = [("a", "f1", 0.5), ("a", "accuracy", 0.7), ("b", "accuracy", 0.2)]
    rows += [("all", "average", 0.4), ("all", "average_evaluation_only", 0.9)]
    found = dev_scores(pd.DataFrame(rows, columns=names))
    assert found.average == 0.4
    assert found.tasks == {"a": {"f1": 0.5, "accuracy": 0.7}, "b": {"accuracy": 0.2}}
