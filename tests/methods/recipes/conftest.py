"""Tiny encoder–decoders in place of those that would have to be downloaded."""

import pytest
from transformers import PreTrainedModel

from hyperadapters.backbones import Seq2SeqBackbone
from hyperadapters.methods.recipes import RECIPES, TaskModel, TaskSettings, task_model

SMALL = {"hidden_width": 8, "condition_width": 8, "site_width": 4}
NAMES = {"tiny-t5": "T5 v1.1", "tiny-bart": "BART", "tiny-bert2bert": "EncoderDecoder"}


@pytest.fixture
def tiny(zoo, monkeypatch):
    """Names of tiny backbones that `TaskModel` can load; the BERTs have new modules."""

    def load(name: str) -> Seq2SeqBackbone:
        if isinstance(name, PreTrainedModel):
            name = name.name_or_path
        model = zoo.make_backbone(zoo.Case(NAMES[name], "SEQ_2_SEQ_LM"))
        model.config._name_or_path = model.name_or_path = name
        new = ("crossattention", "cls.predictions.transform") if "bert" in name else ()
        return Seq2SeqBackbone(name, model, None, new)

    monkeypatch.setattr(task_model, "load_seq2seq", load)
    return load


@pytest.fixture
def settings():
    """Settings of a recipe, with a small generator."""

    def make(recipe: str, **changes) -> TaskSettings:
        return RECIPES[recipe].settings.changed({**SMALL, **changes})

    return make


@pytest.fixture
def build(tiny, settings):
    def make(recipe="hyperdecoder", backbone="tiny-t5", n_tasks=3, seed=0, **changes) -> TaskModel:
        names = [f"task{number}" for number in range(n_tasks)]
        return TaskModel.build(recipe, settings(recipe, **changes), backbone, names, seed)

    return make


@pytest.fixture
def randomise(zoo):
    return zoo.randomise


@pytest.fixture
def batch(zoo):
    """Four rows with what has been written so far."""
    return zoo.make_batch(zoo.Case("T5", "SEQ_2_SEQ_LM"))
