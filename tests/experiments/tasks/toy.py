"""Tiny encoder-decoders with tokenizers of their own, and a mixture that they can learn.

Nothing is downloaded. `tone` asks whether a text is kind, `colour` which colour occurs in it,
`size` how many stars it has (as ``"2.0"``), `where` for the word behind a name, in a long context.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

GOOD, BAD = ("kind", "warm", "nice", "sweet"), ("cruel", "cold", "nasty", "mean")
COLOURS, NAMES = ("red", "blue", "green"), ("ann", "bob", "cid", "dan")
PLACES = ("rome", "oslo", "bonn", "lima")
FILLERS = ("the", "a", "is", "was", "one", "two", "of", "and")
TASKS = ("tone", "colour", "size", "where", "question", "context")
SIGNS = (*":?.", *"012345", "star")
WORDS = (*GOOD, *BAD, *COLOURS, *NAMES, *PLACES, *FILLERS, *TASKS, *SIGNS, "good", "bad")

# Runs that take a second or two; `dev_limit` and `max_source` are small enough to matter.
QUICK = {
    **{"steps": 6, "evaluate_every": 3, "batch_size": 8, "warmup_steps": 2, "max_source": 24},
    **{"max_target": 8, "stride": 4, "eval_batch_size": 16, "dev_limit": 6, "hidden_width": 8},
    **{"encoder_width": 4, "decoder_width": 4, "learning_rate": 0.01},
}


def _tokenizer(start: str, end: str, pad: str, unknown: str):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = [pad, end, unknown, *([start] if start else [])]
    words = {word: number for number, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(words, unknown))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()]
    )
    around = [(name, words[name]) for name in (start, end) if name]
    template = f"{start} $A {end}".strip()
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=around)
    names = {"pad_token": pad, "unk_token": unknown}
    names |= {"cls_token": start, "sep_token": end} if start else {"eos_token": end}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def save_t5(folder: Path, **changes) -> str:
    """A T5 of two layers."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration
    from transformers.utils import logging

    tokenizer = _tokenizer("", "</s>", "<pad>", "<unk>")
    config = T5Config(
        **{"vocab_size": len(tokenizer), "d_model": 32, "d_kv": 8, "d_ff": 37, "num_layers": 2},
        **{"num_heads": 4, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},
        **{"dropout_rate": 0.1, "tie_word_embeddings": True, **changes},
    )
    logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def save_bert2bert(folder: Path) -> str:
    """A BERT that reads and a BERT that writes."""
    import torch
    from transformers import BertConfig, BertLMHeadModel, BertModel, EncoderDecoderModel
    from transformers.utils import logging

    tokenizer = _tokenizer("[CLS]", "[SEP]", "[PAD]", "[UNK]")
    sizes = {"vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "intermediate_size": 37, "max_position_embeddings": 48}
    sizes |= {"initializer_range": 0.2, "pad_token_id": 0}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = BertModel(BertConfig(**sizes))
        writes = {"is_decoder": True, "add_cross_attention": True}
        decoder = BertLMHeadModel(BertConfig(**sizes, **writes))
        model = EncoderDecoderModel(encoder=encoder, decoder=decoder)
    for owner in (model.config, model.generation_config):
        owner.decoder_start_token_id = owner.bos_token_id = tokenizer.cls_token_id
        owner.eos_token_id, owner.pad_token_id = tokenizer.sep_token_id, 0
    logging.disable_progress_bar()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _split(number: int) -> str:
    return ("train", "train", "train", "dev", "test")[number % 5]


def tone(n: int = 60, seed: int = 0) -> pd.DataFrame:
    """0 is bad, 1 is good."""
    draw = np.random.default_rng([seed, 1])
    rows = []
    for number in range(n):
        label = int(draw.integers(2))
        words = [*draw.choice(GOOD if label else BAD, 2), *draw.choice(FILLERS, number % 5)]
        rows.append((" ".join(draw.permutation(words)), label, _split(number)))
    return pd.DataFrame(rows, columns=["text", "label", "split"])


def colour(n: int = 60, seed: int = 0) -> pd.DataFrame:
    """The label is the one colour in the text."""
    draw = np.random.default_rng([seed, 2])
    rows = []
    for number in range(n):
        label = str(draw.choice(COLOURS))
        words = [label, *draw.choice(FILLERS, 1 + number % 6)]
        rows.append((" ".join(draw.permutation(words)), label, _split(number)))
    return pd.DataFrame(rows, columns=["text", "label", "split"])


def size(n: int = 40, seed: int = 0) -> pd.DataFrame:
    """How many stars there are."""
    draw = np.random.default_rng([seed, 3])
    rows = []
    for number in range(n):
        stars = int(draw.integers(1, 4))
        words = [*["star"] * stars, *draw.choice(FILLERS, 2)]
        rows.append((" ".join(draw.permutation(words)), stars, _split(number)))
    return pd.DataFrame(rows, columns=["text", "stars", "split"])


def where(n: int = 30, seed: int = 0) -> pd.DataFrame:
    """Where somebody is: the word behind the name, in a context of several windows."""
    draw = np.random.default_rng([seed, 4])
    rows = []
    for number in range(n):
        name, place = str(draw.choice(NAMES)), str(draw.choice(PLACES))
        words = list(draw.choice(FILLERS, 30))
        position = int(draw.integers(30))
        context = " ".join([*words[:position], f"{name} {place}", *words[position:]])
        start = context.index(place)
        rows.append((f"q{number}", f"where is {name} ?", context, [place], [start], _split(number)))
    names = ["id", "question", "context", "answers", "answer_starts", "split"]
    return pd.DataFrame(rows, columns=names)


DECLARED = {
    "tone": {
        **{"file": "tone.csv", "source": "{text}", "target": "label", "metrics": ["accuracy"]},
        "labels": {0: "bad", 1: "good"},
    },
    "colour": {
        **{"file": "colour.jsonl", "source": "{text}", "target": "label"},
        "labels": {name: name for name in COLOURS},
        "metrics": ["accuracy"],
    },
    "size": {
        **{"file": "size.csv", "kind": "regression", "source": "{text}", "target": "stars"},
        **{"metrics": ["pearson", "spearman"], "generation": {"max_new_tokens": 4}},
    },
    "where": {
        **{"file": "where.parquet", "kind": "qa", "target": "target", "references": "answers"},
        "source": "question: {question} context: {context}",
        **{"metrics": ["exact_match", "token_f1"], "generation": {"max_new_tokens": 3}},
    },
}


def write_files(folder: Path) -> None:
    """The files that `DECLARED` names."""
    tone().to_csv(folder / "tone.csv", index=False)
    colour().to_json(folder / "colour.jsonl", orient="records", lines=True)
    size().to_csv(folder / "size.csv", index=False)
    where().to_parquet(folder / "where.parquet")


def write_mixture(folder: Path, *names: str, sampling=None, **changes) -> Path:
    """A YAML file of some tasks (by default `tone` and `colour`) beside its files."""
    write_files(folder)
    chosen = names or ("tone", "colour")
    tasks = {name: {**DECLARED.get(name, {}), **changes.pop(name, {})} for name in chosen}
    content = {"tasks": {**tasks, **changes}, **({"sampling": sampling} if sampling else {})}
    path = folder / "mixture.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path
