"""The stock Trainer and Seq2SeqTrainer, with the options that people use."""

import numpy as np
import pytest
import torch
from peft import get_peft_model_state_dict
from safetensors.torch import load_file
from torch.utils.data import Dataset
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, Trainer, TrainingArguments

import hyperadapters as ha
from hyperadapters.errors import ConfigError

OPTIONS = {
    **{"max_steps": 60, "per_device_train_batch_size": 32, "per_device_eval_batch_size": 64},
    **{"learning_rate": 1e-2, "seed": 0, "use_cpu": True, "report_to": "none"},
    **{"save_strategy": "no", "disable_tqdm": True, "dataloader_pin_memory": False},
}


class Disagreeing(Dataset):
    """Texts of two kinds; annotators 1 and 3 name the kinds the other way round than 0 and 2."""

    def __init__(self, texts: int = 64, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.rows = []
        for text in range(texts):
            kind = text % 2
            tokens = torch.from_numpy(random.integers(5, 9, 6) + 4 * kind)
            for annotator in range(4):
                self.rows.append((tokens, annotator, kind if annotator % 2 == 0 else 1 - kind))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> dict:
        tokens, annotator, label = self.rows[row]
        return {"input_ids": tokens, "annotator_ids": annotator, "labels": label}


def trainer_of(model, folder, **changes) -> Trainer:
    own = {"compute_metrics"} & set(changes)
    callbacks = {name: changes.pop(name) for name in own}
    arguments = TrainingArguments(output_dir=str(folder), **{**OPTIONS, **changes})
    data = {"train_dataset": Disagreeing(), "eval_dataset": Disagreeing(32, seed=1)}
    return Trainer(model=model, args=arguments, **data, **callbacks)


def by_annotator(prediction) -> dict[str, float]:
    labels, annotators = prediction.label_ids
    right = prediction.predictions.argmax(axis=1) == labels
    return {f"accuracy_{who}": float(right[annotators == who].mean()) for who in range(4)}


def learned(model) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}


def test_metrics_per_annotator(adapted, tmp_path):
    """The condition as a second label reaches `compute_metrics`, and still reaches the model."""
    trainer = trainer_of(
        adapted(random=False),
        tmp_path,
        label_names=["labels", "annotator_ids"],
        compute_metrics=by_annotator,
    )
    trainer.train()
    metrics = trainer.evaluate()
    assert all(metrics[f"eval_accuracy_{who}"] > 0.95 for who in range(4))


def test_load_best_model_at_end(adapted, tmp_path):
    trainer = trainer_of(
        adapted(random=False),
        tmp_path,
        **{"max_steps": 40, "eval_strategy": "steps", "eval_steps": 10},
        **{"save_strategy": "steps", "save_steps": 10, "load_best_model_at_end": True},
        **{"metric_for_best_model": "earlier", "greater_is_better": True},
    )
    # By this measure the model gets worse all the time, so that the first is the best.
    measured = []
    trainer.compute_metrics = lambda _: {"earlier": -len(measured_again(measured))}
    trainer.train()
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-10")
    stored = load_file(tmp_path / "checkpoint-10" / "adapter_model.safetensors")
    last = load_file(tmp_path / "checkpoint-40" / "adapter_model.safetensors")
    found = get_peft_model_state_dict(trainer.model, save_embedding_layers=False)
    assert set(found) == set(stored)
    assert all(torch.equal(found[name], stored[name]) for name in stored)
    assert not all(torch.equal(found[name], last[name]) for name in last)


def measured_again(measured: list) -> list:
    measured.append(True)
    return measured


def test_resume_from_checkpoint(adapted, tmp_path):
    options = {"max_steps": 6, "save_strategy": "steps", "save_steps": 3}
    whole = trainer_of(adapted(random=False), tmp_path, **options)
    whole.train()
    resumed = trainer_of(adapted(random=False), tmp_path, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    wanted = learned(whole.model)
    for name, value in learned(resumed.model).items():
        torch.testing.assert_close(value, wanted[name])


@pytest.mark.parametrize(
    "options",
    [
        {"gradient_accumulation_steps": 4, "per_device_train_batch_size": 8},
        {"gradient_checkpointing": True},
    ],
    ids=["accumulation", "checkpointing"],
)
# Transformers 5.23 calls what it deprecates when checkpointing is asked for by its old name.
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_the_way_of_computing_does_not_matter(adapted, tmp_path, options):
    results = []
    for changes in ({}, options):
        model = adapted(random=False)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        # Plain gradient descent: Adam would magnify roundings where a gradient is nearly zero.
        changes = {"optim": "sgd", "max_steps": 5, "learning_rate": 0.1, **changes}
        trainer = trainer_of(model, tmp_path, **changes)
        # Transformers 5.23 believes that the loss of every model is divided by the rows of all
        # accumulated batches. That of classifiers is not, with any method: they say so themselves.
        trainer.model_accepts_loss_kwargs = False
        trainer.train()
        results.append(learned(model))
    start = learned(adapted(random=False))
    for name, value in results[1].items():
        torch.testing.assert_close(value, results[0][name], atol=1e-5, rtol=1e-4)
    moved = [name for name in start if not torch.equal(start[name], results[1][name])]
    assert len(moved) > 5


# As above.
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_reentrant_checkpointing_is_refused(adapted, tmp_path):
    options = {"gradient_checkpointing_kwargs": {"use_reentrant": True}}
    trainer = trainer_of(adapted(random=False), tmp_path, gradient_checkpointing=True, **options)
    with pytest.raises(ConfigError, match="use_reentrant"):
        trainer.train()


def test_bf16_autocast_learns(adapted, tmp_path):
    trainer = trainer_of(adapted(random=False), tmp_path, bf16=True)
    trainer.train()
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}
    outcome = trainer.predict(trainer.eval_dataset)
    assert (outcome.predictions.argmax(axis=1) == outcome.label_ids).mean() > 0.95


class Replies(Dataset):
    """Every annotator answers any text with a word of their own, twice."""

    def __init__(self, rows: int = 64, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.texts = torch.from_numpy(random.integers(20, 40, (rows, 5)))

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, row: int) -> dict:
        word, text = 5 + row % 4, self.texts[row]
        given = {"input_ids": text, "attention_mask": torch.ones_like(text)}
        return {**given, "annotator_ids": row % 4, "labels": torch.tensor([word, word, 2])}


def test_seq2seq_trainer_predicts_with_generate(adapted, tmp_path):
    def compare(prediction) -> dict[str, float]:
        # The Seq2SeqTrainer hands on the labels alone, whatever `label_names` says; rows keep
        # their order, and labels are filled up to the length that a model writes by default.
        right = (prediction.predictions[:, 1:4] == prediction.label_ids[:, :3]).all(axis=1)
        return {f"exact_{who}": float(right[who::4].mean()) for who in range(4)}

    arguments = Seq2SeqTrainingArguments(
        output_dir=str(tmp_path),
        **{**OPTIONS, "learning_rate": 2e-2, "max_steps": 120},
        predict_with_generate=True,
        generation_max_length=4,
    )
    model = adapted("t5", random=False, target_modules=["q", "v", "o", "wo"])
    trainer = Seq2SeqTrainer(
        model=model,
        args=arguments,
        train_dataset=Replies(),
        eval_dataset=Replies(24, seed=1),
        compute_metrics=compare,
    )
    # The replies depend on nothing but the annotator, so four of four can be learned, and a model
    # that does not look at them gets one of four.
    trainer.train()
    metrics = trainer.evaluate()
    assert all(metrics[f"eval_exact_{who}"] > 0.9 for who in range(4))
    with ha.conditioned(model, annotator_ids=2):
        text = Replies(1, seed=5)[0]["input_ids"][None]
        assert model.generate(input_ids=text, max_length=4)[0].tolist()[1:] == [7, 7, 2]
