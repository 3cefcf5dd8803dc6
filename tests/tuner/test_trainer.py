"""The stock Trainer, and what is learned with it."""

import json

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

import hyperadapters as ha

FLIPPERS = [1, 3, 5]
LORA_ALONE = {"bias_source": "none", "shift": False, "condition_width": 16}
LEARNERS = {
    "ours": {},
    "LoRA alone": {"source": "generated", **LORA_ALONE},
    "published": {"hypernetwork": "two-tower", **LORA_ALONE},
}
TEXT_ONLY = {"source": "learned", "bias_source": "none", "shift": False}


class Flipped(Dataset):
    """Texts of low and of high tokens; half of the annotators call them the other way round.

    Every text is rated by two annotators who disagree, so that the text alone says nothing.
    """

    def __init__(self, texts: int = 96, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.rows = []
        for text in range(texts):
            kind = text % 2
            tokens = random.integers(5, 9, 6) + 4 * kind
            flipper, other = random.choice(FLIPPERS), random.choice([0, 2, 4])
            for annotator, label in ((flipper, 1 - kind), (other, kind)):
                self.rows.append((tokens, int(annotator), label))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> dict:
        tokens, annotator, label = self.rows[row]
        return {
            "input_ids": torch.from_numpy(tokens),
            "annotator_ids": annotator,
            "labels": label,
            "row": row,
        }


def trainer_of(model, folder, **changes) -> Trainer:
    options = {
        "output_dir": str(folder),
        "max_steps": 90,
        "per_device_train_batch_size": 32,
        "per_device_eval_batch_size": 192,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "linear",
        "seed": 0,
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    arguments = TrainingArguments(**{**options, **changes})
    return Trainer(
        model=model, args=arguments, train_dataset=Flipped(), eval_dataset=Flipped(seed=1)
    )


def result(trainer: Trainer) -> tuple[float, float]:
    """Loss and accuracy on texts that were not seen."""
    outcome = trainer.predict(trainer.eval_dataset)
    accuracy = (outcome.predictions.argmax(axis=1) == outcome.label_ids).mean()
    return outcome.metrics["test_loss"], float(accuracy)


def frozen(model) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in model.named_parameters() if not p.requires_grad}


@pytest.mark.parametrize("learner", LEARNERS)
def test_annotators_who_disagree_are_learned(adapted, tmp_path, learner):
    model = adapted(random=False, **LEARNERS[learner])
    before = frozen(model)
    trainer = trainer_of(model, tmp_path)
    trainer.train()
    loss, accuracy = result(trainer)
    assert loss < 0.05
    assert accuracy > 0.98
    after = dict(model.named_parameters())
    assert len(before) > 30
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_text_alone_does_not_tell(adapted, tmp_path):
    trainer = trainer_of(adapted(random=False, **TEXT_ONLY), tmp_path)
    trainer.train()
    loss, accuracy = result(trainer)
    assert loss > 0.65
    assert accuracy == pytest.approx(0.5, abs=0.01)


def test_trainer_keeps_the_column_of_the_condition(adapted, tmp_path):
    trainer = trainer_of(adapted(random=False), tmp_path)
    assert trainer.args.remove_unused_columns
    batch = next(iter(trainer.get_train_dataloader()))
    assert set(batch) == {"input_ids", "annotator_ids", "labels"}


def test_interrupted_training_ends_as_the_uninterrupted(adapted, tmp_path):
    options = {"max_steps": 6, "save_strategy": "steps", "save_steps": 3}
    whole = trainer_of(adapted(random=False), tmp_path, **options)
    whole.train()
    resumed = trainer_of(adapted(random=False), tmp_path, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert resumed.state.global_step == 6
    stored = json.loads((tmp_path / "checkpoint-3" / "adapter_config.json").read_text())
    assert stored["peft_type"] == "HYPERADAPTER"
    wanted, start = (
        dict(whole.model.named_parameters()),
        dict(adapted(random=False).named_parameters()),
    )
    moved = 0
    for name, parameter in resumed.model.named_parameters():
        torch.testing.assert_close(parameter, wanted[name])
        moved += not torch.equal(parameter, start[name])
    assert moved > 10


@pytest.mark.parametrize("learner", LEARNERS)
def test_only_annotators_in_the_batch_get_a_gradient(adapted, texts, learner):
    model = adapted(random=False, **LEARNERS[learner]).train()
    network = ha.adapter_network(model)
    if learner == "published":  # whose vectors get none while the last layer of B is at zero
        torch.nn.init.normal_(network.sources[0].source.tower_b[3].weight)
    ids = torch.tensor([2, -1, 0, 2]) if learner != "published" else torch.tensor([2, 2, 0, 2])
    model(**texts(rows=4), annotator_ids=ids, labels=torch.tensor([0, 1, 2, 0])).loss.backward()
    gradient = network.encoders["annotator_ids"].vectors.grad
    assert (gradient.abs().sum(dim=1) > 0).tolist() == [True, False, True] + [False] * 4


def test_frozen_parameters_get_no_gradient(adapted, texts):
    model = adapted().train()
    labels = torch.tensor([0, 1, 2, 0])
    model(**texts(rows=4), annotator_ids=torch.arange(4), labels=labels).loss.backward()
    for parameter in model.parameters():
        assert (parameter.grad is None) == (not parameter.requires_grad)
