"""The loop by itself, on a stand-in for dev scores."""

import json
import math

import numpy as np
import pytest
import torch

from hyperadapters.data.tasks import TaskTokens
from hyperadapters.errors import RunError
from hyperadapters.methods.recipes import TaskModel, find_recipe
from hyperadapters.tasks import Sampling
from hyperadapters.training import Progress
from hyperadapters.training.checkpoint import Checkpoint, trainable_state
from hyperadapters.training.tasks import DevScores, TaskPosition, TaskTrainer, trainer


class Recorder(Progress):
    def __init__(self):
        self.steps, self.evaluations = [], []

    def step(self, step):
        self.steps.append(step)

    def evaluation(self, record):
        self.evaluations.append(record)


def make_tokens(n=20):
    """Rows of 2 tasks, targets of one to three tokens and an end."""
    draw = np.random.default_rng(0)
    ids = [[*draw.integers(5, 40, draw.integers(2, 7)).tolist(), 1] for _ in range(n)]
    labels = [[*draw.integers(5, 40, draw.integers(1, 4)).tolist(), 1] for _ in range(n)]
    return TaskTokens(ids, labels, np.arange(n), np.arange(n) % 2)


class Runs:
    """Makes trainers on the tiny T5."""

    def __init__(self, backbone, quick, folder):
        self.backbone, self.quick, self.folder = backbone, quick, folder

    def model(self, recipe="single-adapter", **changes):
        settings = find_recipe(recipe).settings.changed({**self.quick, **changes})
        return TaskModel.build(recipe, settings, self.backbone, ["a", "b"], 0)

    def __call__(self, averages=(), recipe="single-adapter", seed=0, progress=None, **changes):
        left = iter(averages)

        def score():
            value = next(left, 0.5)
            return DevScores(value, {"a": {"accuracy": value}})

        return TaskTrainer(
            self.model(recipe, **changes),
            make_tokens(),
            Sampling(),
            score,
            self.folder,
            seed,
            progress,
        )


@pytest.fixture
def runs(tiny_t5, toy, tmp_path):
    return Runs(tiny_t5, toy.QUICK, tmp_path)


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_steps_evaluations_and_the_log(runs, tmp_path):
    seen = Recorder()
    made = runs([0.1, 0.3, 0.2], steps=7, evaluate_every=3, progress=seen)
    position = made.fit()
    assert [step.step for step in seen.steps] == [1, 2, 3, 4, 5, 6, 7]
    # 20 rows in batches of 8: three batches an epoch.
    assert [step.epoch for step in seen.steps] == [1, 1, 1, 2, 2, 2, 3]
    assert {step.n_steps for step in seen.steps} == {7}
    log = log_of(tmp_path)
    assert log == seen.evaluations
    assert [line["step"] for line in log] == [3, 6, 7]  # and at the end
    assert [line["dev_average"] for line in log] == [0.1, 0.3, 0.2]
    assert log[0]["dev"] == {"a": {"accuracy": 0.1}}
    assert [line["best"] for line in log] == [True, True, False]
    assert position.best == {k: v for k, v in log[1].items() if k != "best"}
    losses = [step.loss for step in seen.steps]
    assert log[0]["train_loss"] == pytest.approx(np.mean(losses[:3]))
    assert log[1]["train_loss"] == pytest.approx(np.mean(losses[3:6]))
    seconds = [line["seconds"] for line in log]
    assert seconds == sorted(seconds) and position.seconds >= seconds[-1] - 0.05


def test_the_best_evaluation_is_kept(runs):
    kept = []

    class Watch(Progress):
        def evaluation(self, record):
            kept.append(trainable_state(made.model))

    made = runs([0.1, 0.3, 0.3, 0.2], steps=4, evaluate_every=1, progress=Watch())
    made.fit()
    final = trainable_state(made.model)
    assert all(torch.equal(final[name], kept[1][name]) for name in final)  # earlier of two equals
    assert any(not torch.equal(final[name], kept[2][name]) for name in final)
    assert not made.model.training


def test_an_average_that_is_no_number_is_worse_than_any_other(runs, tmp_path):
    runs([math.nan, -0.5, math.nan], steps=3, evaluate_every=1).fit()
    assert [line["best"] for line in log_of(tmp_path)] == [True, True, False]
    assert log_of(tmp_path)[0]["dev_average"] is None
    assert "NaN" not in (tmp_path / "log.jsonl").read_text()


def test_the_learning_rate_over_time(runs, monkeypatch):
    rates = []

    class Watch(Progress):
        def step(self, step):
            rates.append([group["lr"] for group in optimizers[0].param_groups])

    optimizers, build = [], trainer.build_optimizer

    def remember(*arguments):
        optimizers.append(build(*arguments))
        return optimizers[0]

    monkeypatch.setattr(trainer, "build_optimizer", remember)
    runs(steps=8, warmup_steps=2, learning_rate=0.6, progress=Watch()).fit()
    first = [row[0] for row in rates]
    assert first == pytest.approx([0.3, 0.6, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


def test_a_warm_up_longer_than_training_is_shortened(runs, monkeypatch):
    warmups, factor = set(), trainer.rate_factor

    def remember(step, n_steps, warmup, schedule):
        warmups.add(warmup)
        return factor(step, n_steps, warmup, schedule)

    monkeypatch.setattr(trainer, "rate_factor", remember)
    runs(steps=4, warmup_steps=500).fit()
    assert warmups == {2}


def gradients(monkeypatch, made):
    """Gradients of the first step, as they are before they are clipped."""
    found = {}

    def keep(parameters, limit):
        named = {id(p): name for name, p in made.model.named_parameters()}
        found.update({named[id(p)]: p.grad.clone() for p in parameters if p.grad is not None})
        raise KeyboardInterrupt

    monkeypatch.setattr(made.accelerator, "clip_grad_norm_", keep)
    with pytest.raises(KeyboardInterrupt):
        made.fit()
    return found


def test_accumulated_batches_are_one_large_batch(toy, tmp_path, monkeypatch):
    """The mean is over the target tokens of a step, however it is cut into batches."""
    without_dropout = toy.save_t5(tmp_path / "t5", dropout_rate=0.0)
    runs = Runs(without_dropout, toy.QUICK, tmp_path)
    found = []
    for size, accumulation in ((16, 1), (8, 2), (4, 4)):
        made = runs(batch_size=size, accumulation=accumulation)
        found.append(gradients(monkeypatch, made))
    for other in found[1:]:
        assert other.keys() == found[0].keys()
        for name, gradient in other.items():
            torch.testing.assert_close(gradient, found[0][name], rtol=1e-3, atol=1e-5)


def test_the_sum_of_the_paper(runs, monkeypatch):
    """Summed over tokens, divided by the number of accumulated batches; the first epoch is 20 rows
    in 3 batches, of which a step takes two."""
    summed = gradients(monkeypatch, runs(loss="sum", accumulation=2))
    averaged = gradients(monkeypatch, runs(loss="mean", accumulation=2))
    made = runs()
    taken = np.concatenate(trainer.epoch_batches(made.tokens.task, 8, Sampling(), 0, 0)[:2])
    n_tokens = sum(len(made.tokens.labels[row]) for row in taken)
    for name, gradient in summed.items():
        torch.testing.assert_close(gradient, averaged[name] * n_tokens / 2)


def test_a_step_may_reach_into_the_next_epoch(runs):
    made = runs(accumulation=2, steps=4)
    taken = []
    original = made._loss
    made._loss = lambda rows: taken.append(rows) or original(rows)
    made.fit()
    epochs = [trainer.epoch_batches(made.tokens.task, 8, Sampling(), 0, e) for e in range(3)]
    wanted = [batch for epoch in epochs for batch in epoch][:8]
    assert [rows.tolist() for rows in taken] == [rows.tolist() for rows in wanted]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_training(value, runs, monkeypatch, tmp_path):
    real, calls = trainer.smoothed_loss, []

    def broken(*arguments):
        loss, n_tokens = real(*arguments)
        calls.append(1)
        return (loss * value if len(calls) == 3 else loss), n_tokens

    monkeypatch.setattr(trainer, "smoothed_loss", broken)
    made = runs(steps=5)
    with pytest.raises(RunError, match=r"diverged at step 3: the loss is (nan|inf); lower"):
        made.fit()
    assert all(p.isfinite().all() for p in made.model.parameters())


def test_states_that_are_no_numbers_end_training(runs):
    """The tiny encoder overflows, and with it what its decoder would be written from."""
    made = runs(recipe="hyperdecoder", steps=5)

    def score():
        with torch.no_grad():
            next(made.model.get_encoder().parameters()).fill_(math.inf)
            made.model.eval()
            made.model(**made._inputs(np.arange(4))[0])

    made.score_dev = score
    with pytest.raises(RunError, match=r"diverged at step 3: encoded: .*; lower learning_rate"):
        made.fit()


def test_seeds(runs):
    states = []
    for seed in (1, 1, 2):
        made = runs(seed=seed)
        torch.rand(seed)  # whatever was drawn before does not matter
        made.fit()
        states.append(trainable_state(made.model))
    first, again, other = states
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_every_step_has_dropout_of_its_own(runs):
    made, drawn = runs(steps=3), []
    original = made._loss
    made._loss = lambda rows: drawn.append(torch.initial_seed()) or original(rows)
    made.fit()
    assert len(set(drawn)) == 3
    assert made.model.training is False


def test_bfloat16(runs):
    made = runs(precision="bfloat16")
    seen = []
    made.model.register_forward_hook(lambda module, args, output: seen.append(output.logits.dtype))
    made.fit()
    assert seen[0] == torch.bfloat16
    assert all(p.dtype == torch.float32 for p in made.model.parameters())


def test_the_shuffled_control_is_given_rows_of_all_tasks(runs):
    made = runs(recipe="hyperdecoder", conditioning="shuffled", steps=2)
    made.fit()
    (bank,) = made.task_model.control.banks.values()
    assert bank.shape[0] == 20
    made.task_model.renew_control(made._control_batches())
    (again,) = made.task_model.control.banks.values()
    assert torch.equal(bank, again)  # of the model that was kept


def test_the_shuffled_control_is_part_of_where_training_stands(runs, tmp_path, monkeypatch):
    """A batch of one row is given a vector of the last evaluation."""
    monkeypatch.setattr(trainer, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    settings = {"recipe": "hyperdecoder", "conditioning": "shuffled", "batch_size": 19}
    settings |= {"steps": 8, "evaluate_every": 3}
    whole = runs([0.1, 0.2, 0.3], **settings)
    whole.fit()
    (tmp_path / "log.jsonl").unlink()

    class Stop(Progress):
        def step(self, step):
            if step.step == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs([0.1], progress=Stop(), **settings).fit()
    resumed = runs([0.2, 0.3], **settings)
    resumed.fit(Checkpoint.read(tmp_path, TaskPosition))
    before, after = trainable_state(whole.model), trainable_state(resumed.model)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_training_lowers_the_loss(runs, tmp_path):
    runs(recipe="full-finetuning", steps=90, evaluate_every=30, learning_rate=1e-2).fit()
    losses = [line["train_loss"] for line in log_of(tmp_path)]
    assert losses[-1] < 0.6 * losses[0]
