import json

import pytest

from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.experiments.tasks.known import KnownTasks
from hyperadapters.tasks import Mixture, MixturePart, find_task, read_mixture


@pytest.fixture
def known(toy, tmp_path):
    other = {"like": "tone", "file": "tone.csv", "columns": {"text": "t.x"}, "evaluate_only": True}
    return KnownTasks.of(read_mixture(toy.write_mixture(tmp_path, "where", "tone", other=other)))


def test_order_is_that_of_the_file(known):
    assert known.order == ("where", "tone")
    assert list(known.tasks) == ["where", "tone", "other"]
    assert known.index == {"where": 0, "tone": 1, "other": 1}
    assert known.evaluation_only == ("other",)
    assert known.columns == {"other": {"text": "t.x"}}


def test_what_is_written_is_read(known):
    assert KnownTasks.from_dict(json.loads(json.dumps(known.to_dict()))) == known


def test_every_known_task_survives(tmp_path):
    known = KnownTasks.of(Mixture("all", tuple(MixturePart(find_task(n)) for n in ("rte", "sst2"))))
    assert KnownTasks.from_dict(json.loads(json.dumps(known.to_dict()))) == known


def test_unknown_names(known):
    assert known.find("other").name == "other"
    with pytest.raises(ConditionError, match="did you mean 'where'"):
        known.find("were")


def test_damage(known):
    plain = known.to_dict()
    with pytest.raises(ConfigError, match="did you mean 'metrics'"):
        tone = {**plain["tasks"]["tone"], "metric": ["f1"]}
        KnownTasks.from_dict({**plain, "tasks": {"tone": tone}})
    with pytest.raises(ValueError, match="do not agree"):
        KnownTasks.from_dict({**plain, "conditioned_as": {"tone": "tone"}})
    with pytest.raises(ValueError, match="column 'text' must be a text, got 5"):
        KnownTasks.from_dict({**plain, "columns": {"tone": {"text": 5}}})
    with pytest.raises(ValueError, match="not in tuple"):
        KnownTasks.from_dict({**plain, "order": ["tone"]})
