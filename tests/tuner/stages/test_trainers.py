"""The trainers of Transformers."""

import copy

import pytest
import torch
from torch.utils.data import Dataset
from transformers import (
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    Trainer,
    TrainingArguments,
)

import hyperadapters as ha
from staged import STAGES, TASKS, read_twice, source_only

pytestmark = pytest.mark.filterwarnings("ignore:Version v4.12.0:FutureWarning")


class Rows(Dataset):
    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return len(self.batch["labels"])

    def __getitem__(self, index):
        return {name: value[index] for name, value in self.batch.items()}


@pytest.mark.parametrize("family", ["T5", "BART", "EncoderDecoder"])
@pytest.mark.parametrize("stages", STAGES)
def test_seq2seq_trainer(zoo, adapted, tmp_path, family, stages):
    model, batch = adapted(family, stages, tasks=True, random=False)
    rows = {**source_only(batch), "labels": batch["decoder_input_ids"], "tasks": TASKS}
    arguments = Seq2SeqTrainingArguments(
        str(tmp_path),
        max_steps=2,
        per_device_train_batch_size=2,
        per_device_eval_batch_size=3,
        predict_with_generate=True,
        generation_max_length=6,
        generation_num_beams=2,
        learning_rate=0.1,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_steps=1,
    )
    trainer = Seq2SeqTrainer(model, arguments, train_dataset=Rows(rows), eval_dataset=Rows(rows))
    before = copy.deepcopy(ha.adapter_network(model).state_dict())
    trainer.train()
    moved = [
        not torch.equal(value, before[name])
        for name, value in ha.adapter_network(model).state_dict().items()
    ]
    assert sum(moved) > 0.8 * len(moved)
    written = trainer.predict(Rows(rows)).predictions
    with torch.no_grad():
        given = {"max_length": 6, "num_beams": 2}
        wanted = model.eval().generate(**source_only(batch), tasks=TASKS, **given)
    width = min(written.shape[1], wanted.shape[1])
    assert (written[:, :width] == wanted[:, :width].numpy()).all()


def test_trainer_with_a_classifier_that_reads_twice(zoo, tmp_path):
    case = zoo.Case("BERT", "SEQ_CLS")
    model = zoo.make_adapted(case, random=False, **read_twice())
    rows = {**zoo.make_batch(case), "labels": torch.tensor([0, 1, 2, 0])}
    arguments = TrainingArguments(
        str(tmp_path), max_steps=2, learning_rate=0.1, use_cpu=True, report_to=[]
    )
    trainer = Trainer(model, arguments, train_dataset=Rows(rows), eval_dataset=Rows(rows))
    trainer.train()
    assert trainer.evaluate()["eval_loss"] > 0
    assert trainer.predict(Rows(rows)).predictions.shape == (4, 3)
