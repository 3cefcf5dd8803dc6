import json
from dataclasses import replace
from pathlib import Path

import pytest

from hyperadapters.errors import ConfigError
from hyperadapters.tasks import Mixture, MixturePart, Sampling, find_task


def part(name, **fields):
    return MixturePart(find_task(name), **fields)


def test_tasks_are_in_the_users_order():
    mixture = Mixture("m", (part("rte"), part("cola"), part("sst2")))
    assert mixture.task_names == ("rte", "cola", "sst2")
    assert mixture.task_index == {"rte": 0, "cola": 1, "sst2": 2}
    assert list(mixture.tasks) == ["rte", "cola", "sst2"]


def test_a_part_that_is_only_scored_bears_the_index_of_another():
    scored = MixturePart(find_task("rte").changed(name="other"), conditioned_as="rte")
    mixture = Mixture("m", (part("cola"), part("rte")), evaluation_only=(scored,))
    assert mixture.task_names == ("cola", "rte")
    assert mixture.task_index == {"cola": 0, "rte": 1, "other": 1}
    assert mixture.all_parts[-1] is scored


def test_a_trained_part_may_share_the_adapters_of_another():
    more = MixturePart(find_task("rte").changed(name="more"), conditioned_as="rte")
    mixture = Mixture("m", (part("rte"), more))
    assert mixture.task_names == ("rte",)
    assert mixture.task_index == {"rte": 0, "more": 0}


def test_the_plain_form_is_json():
    mixture = Mixture(
        "m",
        (part("squad", files=(Path("a.csv"),), limits={"train": 3}, where={"x": ("1",)}),),
        Sampling(float("inf"), True),
    )
    plain = json.loads(json.dumps(mixture.to_dict(), allow_nan=False))
    assert plain["sampling"] == {"temperature": "inf", "one_task_per_batch": True}
    assert plain["parts"][0]["files"] == ["a.csv"]
    assert plain["parts"][0]["task"]["name"] == "squad"


def test_a_task_twice():
    with pytest.raises(ConfigError, match="mixture m: task 'rte' occurs twice"):
        Mixture("m", (part("rte"), part("rte")))


def test_a_task_with_the_name_of_the_averages():
    named_all = replace(part("rte"), task=replace(part("rte").task, name="all"), conditioned_as="")
    with pytest.raises(ConfigError, match="a task cannot be called 'all'"):
        Mixture("m", (named_all,))


def test_nothing_trained():
    with pytest.raises(ConfigError, match="no task is trained"):
        Mixture("m", (), evaluation_only=(part("rte"),))


def test_a_scored_part_that_is_like_nothing_trained():
    with pytest.raises(
        ConfigError, match=r"'cola' is only evaluated; say with `like`.*trained: rt"
    ):
        Mixture("m", (part("rte"),), evaluation_only=(part("cola"),))
    with pytest.raises(ConfigError, match="'cola' is like 'sst2', which is trained nowhere"):
        Mixture("m", (part("rte"),), evaluation_only=(part("cola", conditioned_as="sst2"),))


@pytest.mark.parametrize("limit", [0, -1, True])
def test_limits_are_counts(limit):
    with pytest.raises(ConfigError, match="task rte: train must be a whole number of rows, at lea"):
        part("rte", limits={"train": limit})


def test_limits_are_of_splits():
    with pytest.raises(ConfigError, match=r"unknown split 'trian'; did you mean 'train'\?"):
        part("rte", limits={"trian": 3})


def test_a_part_needs_a_place():
    with pytest.raises(ConfigError, match="no file, and the hub does not have it"):
        MixturePart(find_task("rte").changed(hub=None))


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), "warm", True, None])
def test_temperatures_are_above_zero(temperature):
    with pytest.raises(ConfigError, match="temperature must be a number above 0"):
        Sampling.from_dict({"temperature": temperature})


def test_one_task_a_batch_is_true_or_false():
    with pytest.raises(ConfigError, match="one_task_per_batch must be true or false, got 'no'"):
        Sampling.from_dict({"one_task_per_batch": "no"})


def test_only_plain_sampling_is_a_permutation():
    assert Sampling().is_permutation
    assert not Sampling(2).is_permutation
    assert not Sampling(1, True).is_permutation
