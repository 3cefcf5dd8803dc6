"""Tiny frozen models with adapters that really change something."""

from collections.abc import Callable

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from hyperadapters import HyperAdapterConfig, Lookup

# Its name in newer Transformers.
if not hasattr(PreTrainedModel, "activation_checkpointing_enable"):
    for switch in ("enable", "disable"):
        function = getattr(PreTrainedModel, f"gradient_checkpointing_{switch}")
        setattr(PreTrainedModel, f"activation_checkpointing_{switch}", function)

N_ANNOTATORS = 7
PADDING = 1
SIZES = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "max_position_embeddings": 20,
    "pad_token_id": PADDING,
    "initializer_range": 0.2,  # wide enough for the random backbone to tell texts apart
}
FAMILIES = {
    "bert": (BertConfig, BertForSequenceClassification),
    "roberta": (RobertaConfig, RobertaForSequenceClassification),
}


def make_backbone(family: str = "bert", n_labels: int = 3) -> PreTrainedModel:
    config, model = FAMILIES[family]
    torch.manual_seed(0)
    return model(config(**SIZES, num_labels=n_labels)).eval()


def make_config(**changes) -> HyperAdapterConfig:
    defaults = {
        "task_type": "SEQ_CLS",
        "r": 2,
        "conditions": {"annotator_ids": Lookup(N_ANNOTATORS)},
        "condition_width": 8,
        "site_width": 8,
        "hidden_width": 16,
        "taste_rank": 4,
    }
    if "groups" in changes:  # each says its rank
        del defaults["r"]
    return HyperAdapterConfig(**{**defaults, **changes})


def randomise(model: nn.Module, seed: int = 1) -> None:
    """Everything that is learned gets a value far from its start."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.3, generator=generator)


def make_adapted(family: str = "bert", *, random: bool = True, **changes) -> PeftModel:
    model = get_peft_model(make_backbone(family), make_config(**changes))
    if random:
        randomise(model)
    return model.eval()


def make_texts(rows: int = 6, positions: int = 9, seed: int = 0) -> dict[str, Tensor]:
    """Texts of different lengths, filled up with padding."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, 50, (rows, positions), generator=generator)
    lengths = torch.randint(3, positions + 1, (rows, 1), generator=generator)
    mask = (torch.arange(positions) < lengths).long()
    return {"input_ids": ids.where(mask.bool(), PADDING), "attention_mask": mask}


@pytest.fixture
def backbone() -> Callable[..., PreTrainedModel]:
    return make_backbone


@pytest.fixture
def config() -> Callable[..., HyperAdapterConfig]:
    return make_config


@pytest.fixture
def adapted() -> Callable[..., PeftModel]:
    return make_adapted


@pytest.fixture
def randomised() -> Callable[..., None]:
    return randomise


@pytest.fixture
def texts() -> Callable[..., dict[str, Tensor]]:
    return make_texts
