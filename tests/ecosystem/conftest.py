"""Tiny models of three families, adapted; a tokenizer of a few words; folders with both."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from hyperadapters import HyperAdapterConfig, Lookup

ROWS = 6
PADDING = 0
WORDS = ("[PAD]", "[BOS]", "[EOS]", "[UNK]", *(f"w{number}" for number in range(46)))
SIZES = {"vocab_size": len(WORDS), "hidden_size": 32, "intermediate_size": 37}
LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 40}
SPECIAL = {"pad_token_id": PADDING, "bos_token_id": 1, "eos_token_id": 2}
# Wide enough that random backbones tell texts apart.
WIDE = {"initializer_range": 0.2}

FAMILIES = {
    "bert": (
        BertForSequenceClassification,
        lambda: BertConfig(**SIZES, **LAYERS, **WIDE, pad_token_id=PADDING, num_labels=3),
        {"task_type": "SEQ_CLS", "target_modules": ["query", "value"]},
    ),
    "llama": (
        LlamaForCausalLM,
        lambda: LlamaConfig(**SIZES, **LAYERS, **WIDE, **SPECIAL),
        {"task_type": "CAUSAL_LM", "target_modules": ["q_proj", "v_proj"]},
    ),
    "t5": (
        T5ForConditionalGeneration,
        lambda: T5Config(
            vocab_size=len(WORDS),
            **{"d_model": 32, "d_kv": 8, "d_ff": 37, "num_layers": 2, "num_heads": 4},
            **{"dropout_rate": 0.0, "initializer_factor": 1.0, "decoder_start_token_id": PADDING},
            **{"pad_token_id": PADDING, "eos_token_id": 2},
        ),
        {"task_type": "SEQ_2_SEQ_LM", "target_modules": ["q", "v"]},
    ),
}


def make_backbone(family: str = "bert", **changes) -> PreTrainedModel:
    model, config, _ = FAMILIES[family]
    settings = config()
    settings.update(changes)
    torch.manual_seed(0)
    return model(settings).eval()


def make_config(family: str = "bert", **changes) -> HyperAdapterConfig:
    sizes = {"r": 2, "condition_width": 8, "site_width": 8, "hidden_width": 16, "taste_rank": 4}
    conditions = {"annotator_ids": Lookup(7)}
    return HyperAdapterConfig(
        **{**sizes, "conditions": conditions, **FAMILIES[family][2], **changes}
    )


def randomise(model: nn.Module, seed: int = 1) -> None:
    """Everything that is learned gets a value far from its start."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.3, generator=generator)


def make_adapted(
    family: str = "bert", *, random: bool = True, name="default", plain=None, **changes
) -> PeftModel:
    plain = make_backbone(family) if plain is None else plain
    model = get_peft_model(plain, make_config(family, **changes), name)
    if random:
        randomise(model)
    return model.eval()


def make_batch(family: str = "bert", rows: int = ROWS, *, labels: bool = False):
    """Inputs of `forward`: padded to one length, at the left where the model writes on."""
    generator = torch.Generator().manual_seed(3)
    positions = 8
    ids = torch.randint(4, len(WORDS), (rows, positions), generator=generator)
    lengths = torch.randint(3, positions + 1, (rows, 1), generator=generator)
    mask = (torch.arange(positions) < lengths).long()
    if family == "llama":
        mask = mask.flip(1)
    batch = {"input_ids": ids.where(mask.bool(), PADDING), "attention_mask": mask}
    if family == "t5":
        batch["decoder_input_ids"] = ids[:, :4]
    if labels:
        classes = torch.arange(rows) % 3
        tokens = ids[:, :4].contiguous()  # T5 flattens them with `view`
        batch["labels"] = {"bert": classes, "llama": ids, "t5": tokens}[family]
    return batch


def prompt_of(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `generate` takes of a batch."""
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


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
def batch() -> Callable[..., dict[str, Tensor]]:
    return make_batch


@pytest.fixture
def prompt() -> Callable[..., dict[str, Tensor]]:
    return lambda family, rows=ROWS: prompt_of(make_batch(family, rows))


@pytest.fixture(scope="session")
def tokenizer():
    """One token a word, for 46 words `w0` ... `w45`; made without a download."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: position for position, word in enumerate(WORDS)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special = dict(zip(("pad_token", "bos_token", "eos_token", "unk_token"), WORDS, strict=False))
    names = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=words, model_input_names=names, **special)


@pytest.fixture
def saved(tmp_path) -> Callable[..., tuple[PeftModel, Path]]:
    """Saves backbone and adapter of a family; the adapter's folder names that of the backbone."""

    def save(family: str, **changes) -> tuple[PeftModel, Path]:
        make_backbone(family).save_pretrained(tmp_path / "backbone")
        plain = FAMILIES[family][0].from_pretrained(tmp_path / "backbone").eval()
        model = make_adapted(family, plain=plain, **changes)
        model.save_pretrained(str(tmp_path / "adapter"))
        return model, tmp_path / "adapter"

    return save


@pytest.fixture
def in_a_process(tmp_path) -> Callable[..., str]:
    """Runs a script in a process of its own, with one thread and without the net."""

    def run(script: str, *arguments: object, launcher: tuple[str, ...] = ()) -> str:
        path = tmp_path / "script.py"
        path.write_text(script)
        settings = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
        finished = subprocess.run(
            [sys.executable, *launcher, str(path), *map(str, arguments)],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    return run
