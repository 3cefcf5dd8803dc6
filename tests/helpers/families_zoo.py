"""Tiny models of every family, built from configurations: nothing is downloaded.

Run as a script it reads the adapters of all families, which another process has written.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import hyperadapters as ha

WORDS = 60
PAD, BOS, EOS, FIRST_WORD = 0, 1, 2, 5
LENGTHS = (9, 4, 7, 5)
IDS = torch.tensor([3, -1, 0, 3])
OTHER_IDS = torch.tensor([5, 2, 1, 6])
TARGET_LENGTH = 5

ENCODER, DECODER, BOTH = "encoder", "decoder", "encoder and decoder"
AUTO = {
    "SEQ_CLS": hf.AutoModelForSequenceClassification,
    "TOKEN_CLS": hf.AutoModelForTokenClassification,
    "QUESTION_ANS": hf.AutoModelForQuestionAnswering,
    "CAUSAL_LM": hf.AutoModelForCausalLM,
    "SEQ_2_SEQ_LM": hf.AutoModelForSeq2SeqLM,
    "FEATURE_EXTRACTION": hf.AutoModel,
    "plain": hf.AutoModel,
}
CLASSIFICATION = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS")
FEATURES = ("FEATURE_EXTRACTION", "plain")
HEADS = {
    ENCODER: (*CLASSIFICATION, *FEATURES),
    DECODER: ("CAUSAL_LM", *CLASSIFICATION, *FEATURES),
    BOTH: ("SEQ_2_SEQ_LM", *CLASSIFICATION, *FEATURES),
}

TOKENS = {"vocab_size": WORDS, "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS}
USUAL = {
    **TOKENS,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "max_position_embeddings": 40,
    "initializer_range": 0.2,  # wide enough for random layers to tell texts apart
}
DISENTANGLED = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8}
GROUPED = {"num_key_value_heads": 2, "head_dim": 8}
# T5 scales its start with the widths; a larger factor keeps distant words apart.
T5 = {
    **TOKENS,
    **{"d_model": 32, "d_kv": 8, "d_ff": 37, "num_layers": 2, "num_heads": 4},
    "decoder_start_token_id": PAD,
}
BART = {
    **TOKENS,
    **{"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "init_std": 0.2},
    **{"encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 40},
    **{"encoder_ffn_dim": 37, "decoder_ffn_dim": 37, "decoder_start_token_id": EOS},
}

# Heads that Transformers does not have for a family.
ANSWERS = ("QUESTION_ANS",)


@dataclass(frozen=True)
class Family:
    """A backbone: what it is, how its configuration is made, which heads Transformers has."""

    kind: str
    config: Callable[..., hf.PretrainedConfig]
    sizes: dict[str, Any] = field(default_factory=lambda: USUAL)
    without: tuple[str, ...] = ()

    @property
    def heads(self) -> tuple[str, ...]:
        return tuple(head for head in HEADS[self.kind] if head not in self.without)


def _two_berts(**sizes: Any) -> hf.EncoderDecoderConfig:
    decoder = hf.BertConfig(**sizes, is_decoder=True, add_cross_attention=True)
    together = hf.EncoderDecoderConfig.from_encoder_decoder_configs(
        hf.BertConfig(**sizes), decoder, **TOKENS
    )
    together.decoder_start_token_id = BOS
    return together


FAMILIES = {
    "BERT": Family(ENCODER, hf.BertConfig),
    "RoBERTa": Family(ENCODER, hf.RobertaConfig),
    "XLM-RoBERTa": Family(ENCODER, hf.XLMRobertaConfig),
    "CamemBERT": Family(ENCODER, hf.CamembertConfig),
    "DistilBERT": Family(
        ENCODER,
        hf.DistilBertConfig,
        {
            **TOKENS,
            **{"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 37},
            **{"max_position_embeddings": 40, "initializer_range": 0.2},
        },
    ),
    "ALBERT": Family(ENCODER, hf.AlbertConfig, {**USUAL, "embedding_size": 16}),
    "ELECTRA": Family(ENCODER, hf.ElectraConfig, {**USUAL, "embedding_size": 16}),
    "DeBERTa": Family(ENCODER, hf.DebertaConfig, {**USUAL, **DISENTANGLED}),
    "DeBERTa-v2": Family(ENCODER, hf.DebertaV2Config, {**USUAL, **DISENTANGLED}),
    "DeBERTa-v3": Family(
        ENCODER,
        hf.DebertaV2Config,
        {**USUAL, **DISENTANGLED, "share_att_key": True, "norm_rel_ebd": "layer_norm"},
    ),
    "MPNet": Family(ENCODER, hf.MPNetConfig),
    "ModernBERT": Family(
        ENCODER, hf.ModernBertConfig, {**USUAL, "cls_token_id": BOS, "sep_token_id": EOS}
    ),
    "GPT-2": Family(
        DECODER,
        hf.GPT2Config,
        {
            **TOKENS,
            **{"n_embd": 32, "n_layer": 2, "n_head": 4, "n_inner": 37, "n_positions": 40},
            "initializer_range": 0.2,
        },
    ),
    "GPT-NeoX": Family(DECODER, hf.GPTNeoXConfig),
    "OPT": Family(
        DECODER,
        hf.OPTConfig,
        {
            **TOKENS,
            **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
            **{"ffn_dim": 37, "max_position_embeddings": 40, "word_embed_proj_dim": 32},
            "init_std": 0.2,
        },
        ("TOKEN_CLS",),
    ),
    "Llama": Family(DECODER, hf.LlamaConfig, {**USUAL, **GROUPED}),
    "Mistral": Family(DECODER, hf.MistralConfig, {**USUAL, **GROUPED}),
    "Qwen2": Family(DECODER, hf.Qwen2Config, {**USUAL, "num_key_value_heads": 2}),
    "Qwen3": Family(DECODER, hf.Qwen3Config, {**USUAL, **GROUPED}),
    "Gemma": Family(DECODER, hf.GemmaConfig, {**USUAL, **GROUPED}, ANSWERS),
    "Gemma 2": Family(DECODER, hf.Gemma2Config, {**USUAL, **GROUPED}, ANSWERS),
    "Gemma 3": Family(DECODER, hf.Gemma3TextConfig, {**USUAL, **GROUPED}, (*ANSWERS, "TOKEN_CLS")),
    "Phi": Family(DECODER, hf.PhiConfig, USUAL, ANSWERS),
    "Phi-3": Family(DECODER, hf.Phi3Config, USUAL, ANSWERS),
    "T5": Family(BOTH, hf.T5Config, T5),
    "T5 v1.1": Family(BOTH, hf.T5Config, {**T5, "feed_forward_proj": "gated-gelu"}),
    "mT5": Family(BOTH, hf.MT5Config, T5),
    "UMT5": Family(BOTH, hf.UMT5Config, T5),
    "BART": Family(BOTH, hf.BartConfig, BART, ("TOKEN_CLS",)),
    "mBART": Family(BOTH, hf.MBartConfig, BART, ("TOKEN_CLS",)),
    "EncoderDecoder": Family(BOTH, _two_berts, USUAL, (*CLASSIFICATION, *FEATURES)),
}


@dataclass(frozen=True)
class Case:
    """A family with one of its heads; the first head of a family is its main one."""

    family: str
    head: str

    def __str__(self) -> str:
        return f"{self.family}-{self.head}".replace(" ", "-")

    @property
    def kind(self) -> str:
        return FAMILIES[self.family].kind

    @property
    def writes(self) -> bool:
        return self.head in ("CAUSAL_LM", "SEQ_2_SEQ_LM")

    @property
    def task_type(self) -> str | None:
        return None if self.head == "plain" else self.head

    @property
    def not_applicable(self) -> dict[str, str]:
        """Column of the families' table → why it says nothing of this family."""
        return {} if self.kind != ENCODER else {"generation": "no generation: encoder"}


CASES = [Case(name, head) for name, family in FAMILIES.items() for head in family.heads]
MAIN_CASES = [Case(name, family.heads[0]) for name, family in FAMILIES.items()]


def _one_of(heads: Sequence[str], number: int) -> Sequence[str]:
    return heads[number % len(heads) :][:1] if heads else ()


# With its main head and one other; the next family has another one.
SOME_CASES = [
    Case(name, head)
    for number, (name, family) in enumerate(FAMILIES.items())
    for head in (family.heads[0], *_one_of(family.heads[1:], number))
]


def make_backbone(case: Case, **changes: Any) -> hf.PreTrainedModel:
    """The same weights at every call; no dropout, so that training mode can be compared too."""
    family = FAMILIES[case.family]
    config = family.config(**{**family.sizes, **changes})
    for part in (config, getattr(config, "encoder", None), getattr(config, "decoder", None)):
        for name, value in list(vars(part).items()) if part is not None else ():
            if ("drop" in name or name.endswith("pdrop")) and isinstance(value, float):
                setattr(part, name, 0.0)
    if case.head in CLASSIFICATION[:2]:
        config.num_labels = 3
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AUTO[case.head].from_config(config).eval()


def make_adapter_config(case: Case, **changes: Any) -> ha.HyperAdapterConfig:
    defaults = {
        "task_type": case.task_type,
        "conditions": {"annotator_ids": ha.Lookup(7)},
        **{"r": 2, "condition_width": 8, "site_width": 8, "hidden_width": 16},
    }
    if "groups" in changes:  # each says its rank
        del defaults["r"]
    return ha.HyperAdapterConfig(**{**defaults, **changes})


def randomise(model: nn.Module, seed: int = 1) -> None:
    """Everything that is learned gets a value far from its start."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.3, generator=generator)


def make_adapted(case: Case, *, random: bool = True, **changes: Any) -> PeftModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(make_backbone(case), make_adapter_config(case, **changes))
    if random:
        randomise(model)
    return model.eval()


def make_texts(lengths: tuple[int, ...] = LENGTHS, *, left: bool = False) -> dict[str, Tensor]:
    """Texts of different lengths with a start and an end, filled up with padding."""
    generator = torch.Generator().manual_seed(7)
    longest = max(lengths)
    ids = torch.full((len(lengths), longest), PAD)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        words = torch.randint(FIRST_WORD, WORDS, (length - 2,), generator=generator)
        start = longest - length if left else 0
        ids[row, start : start + length] = torch.tensor([BOS, *words.tolist(), EOS])
        mask[row, start : start + length] = 1
    return {"input_ids": ids, "attention_mask": mask}


def make_batch(case: Case) -> dict[str, Tensor]:
    """What the model reads; with both stacks also the words that it has written so far."""
    batch = make_texts()
    if case.kind == BOTH and case.head in ("SEQ_2_SEQ_LM", *FEATURES):
        shape = (len(LENGTHS), TARGET_LENGTH)
        generator = torch.Generator().manual_seed(8)
        batch["decoder_input_ids"] = torch.randint(FIRST_WORD, WORDS, shape, generator=generator)
    return batch


def row_of(batch: dict[str, Tensor], row: int) -> dict[str, Tensor]:
    """One row by itself, without its padding."""
    kept = batch["attention_mask"][row].bool()
    return {
        name: value[row : row + 1] if name.startswith("decoder_") else value[row : row + 1, kept]
        for name, value in batch.items()
    }


def outputs(model: nn.Module, batch: dict[str, Tensor], **conditions: Any) -> Tensor:
    """The logits (or the last hidden states), rows first."""
    result = model(**batch, **conditions)
    if "start_logits" in result:
        return torch.stack([result["start_logits"], result["end_logits"]], dim=-1)
    return result["logits"] if "logits" in result else result["last_hidden_state"]


def save_all(folder: Path) -> None:
    """Adapters and logits of every family."""
    for case in MAIN_CASES:
        model = make_adapted(case)
        model.save_pretrained(str(folder / str(case)))
        wanted = outputs(model, make_batch(case), annotator_ids=IDS)
        save_file({"logits": wanted.contiguous()}, folder / str(case) / "saved.safetensors")


def load_all(folder: Path) -> None:
    """Logits of every family by the adapters that another process has saved."""
    for case in MAIN_CASES:
        with torch.random.fork_rng():
            model = PeftModel.from_pretrained(make_backbone(case), str(folder / str(case)))
        got = outputs(model.eval(), make_batch(case), annotator_ids=IDS)
        save_file({"logits": got.contiguous()}, folder / str(case) / "loaded.safetensors")


def logits_of(folder: Path, case: Case, when: str) -> Tensor:
    return load_file(folder / str(case) / f"{when}.safetensors")["logits"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad():
        load_all(Path(sys.argv[1]))
