import json
import struct

import pytest
import torch

from hyperadapters.errors import RunError
from hyperadapters.training.checkpoint import (
    Checkpoint,
    Position,
    load_optimizer,
    load_trainable,
    optimizer_state,
    trainable_state,
)

NAME = "checkpoint.safetensors"


@pytest.fixture
def checkpoint():
    return Checkpoint(
        Position(epoch=1, batch=2, step=7, best_nll=0.5, best={"epoch": 1, "dev_nll": 0.5}),
        current={"a.b": torch.arange(6.0).view(2, 3).T},  # not contiguous
        best={"a.b": torch.zeros(3, 2)},
        optimizer={"0.exp_avg": torch.ones(3, 2), "0.step": torch.tensor(7.0)},
        random=torch.get_rng_state(),
    )


def test_what_is_written_is_read(checkpoint, tmp_path):
    checkpoint.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]  # no part is left behind
    again = Checkpoint.read(tmp_path)
    assert again.position == checkpoint.position
    for part in ("current", "best", "optimizer"):
        before, after = getattr(checkpoint, part), getattr(again, part)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(again.random, checkpoint.random)


def test_nothing_is_pickled(checkpoint, tmp_path):
    checkpoint.write(tmp_path)
    content = (tmp_path / NAME).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert {"random", "current/a.b", "best/a.b", "optimizer/0.step"} <= header.keys()
    assert not content.startswith(b"PK")  # torch.save makes a zip of pickles


def test_before_the_first_evaluation_there_is_no_best(tmp_path):
    fresh = Checkpoint(Position(), {"a": torch.ones(1)}, {}, {}, torch.get_rng_state())
    fresh.write(tmp_path)
    again = Checkpoint.read(tmp_path)
    assert again.best == {} and again.position.best_nll == float("inf")


def test_no_checkpoint(tmp_path):
    assert Checkpoint.read(tmp_path) is None


@pytest.mark.parametrize("damage", ["cut", "words", "empty", "other", "position"])
def test_a_damaged_checkpoint_is_refused(damage, checkpoint, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / NAME
    checkpoint.write(tmp_path)
    content = path.read_bytes()
    if damage == "other":  # somebody else's file
        save_file({"x": torch.ones(1)}, path)
    elif damage == "position":
        save_file({"random": torch.ones(1)}, path, {"position": '{"where": 1}'})
    else:
        path.write_bytes({"cut": content[:-5], "words": b"no such thing", "empty": b""}[damage])
    with pytest.raises(RunError, match=r"cannot be read .*; train anew") as caught:
        Checkpoint.read(tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_without_the_random_state_is_refused(tmp_path):
    from safetensors.torch import save_file

    header = {"position": json.dumps({"epoch": 1})}
    save_file({"current/a": torch.ones(1)}, tmp_path / NAME, header)
    with pytest.raises(RunError, match="cannot be read"):
        Checkpoint.read(tmp_path)


def test_an_interrupted_write_leaves_the_previous_state(checkpoint, tmp_path, monkeypatch):
    checkpoint.write(tmp_path)

    def fail(tensors, path, header):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("hyperadapters.training.checkpoint.save_file", fail)
    checkpoint.position.step = 8
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write(tmp_path)
    assert Checkpoint.read(tmp_path).position.step == 7


def test_model_and_optimizer_go_on_as_they_were():
    def steps(model, optimizer, n):
        for _ in range(n):
            optimizer.zero_grad()
            model(torch.ones(1, 2)).square().sum().backward()
            optimizer.step()

    def fresh():
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 2)
        return model, torch.optim.AdamW(model.parameters(), lr=0.1)

    model, optimizer = fresh()
    steps(model, optimizer, 3)
    state, moments = trainable_state(model), optimizer_state(optimizer)
    steps(model, optimizer, 3)

    other, second = fresh()
    load_trainable(other, state)
    load_optimizer(second, moments)
    steps(other, second, 3)
    assert torch.equal(other.weight, model.weight)
    assert not torch.equal(state["weight"], model.weight)  # a copy, not the parameter


def test_only_what_is_trained_is_kept():
    model = torch.nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    assert trainable_state(model).keys() == {"weight"}
    with pytest.raises(RunError, match="another shape"):
        load_trainable(model, {"weight": torch.ones(2, 2), "bias": torch.ones(2)})
