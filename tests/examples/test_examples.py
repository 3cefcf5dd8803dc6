"""The examples run, on tiny models, and what they show is true there."""

import importlib.util
from pathlib import Path

import torch
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    RobertaConfig,
    RobertaForSequenceClassification,
)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUICK = {"use_cpu": True, "disable_tqdm": True, "seed": 0, "dataloader_pin_memory": False}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "pad_token_id": 0}
SPECIAL = ("[PAD]", "[BOS]", "[EOS]", "[UNK]")


def load(name: str):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tiny(folder: Path, texts: list[str], model_class, config_class, **sizes):
    """Folder of a random model, and a tokenizer that has a token for each word of the texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = [*SPECIAL, *sorted({w for text in texts for w in text.replace(",", " , ").split()})]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    named = dict(zip(("pad_token", "bos_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    torch.manual_seed(0)
    sizes = {**SIZES, "vocab_size": len(words), "initializer_range": 0.2, **sizes}
    model_class(config_class(**sizes, bos_token_id=1, eos_token_id=2)).save_pretrained(folder)
    return str(folder), PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def test_annotators_are_learned_from_their_ratings(tmp_path):
    example = load("annotators_roberta_trainer")
    ratings = example.made_up_ratings()
    # A model that sees the text alone is right in one half of the rows at most.
    ceiling = ratings.groupby("text")["label"].agg(lambda rows: max(rows.mean(), 1 - rows.mean()))
    assert ceiling.max() == 0.5
    backbone, tokenizer = tiny(
        tmp_path / "backbone",
        list(ratings["text"]),
        RobertaForSequenceClassification,
        RobertaConfig,
        **{"intermediate_size": 37, "max_position_embeddings": 40, "num_labels": 2},
    )
    options = {"num_train_epochs": 12, "learning_rate": 1e-2, **QUICK}
    found, by_person = example.main(backbone, tokenizer, ratings, str(tmp_path / "run"), **options)
    assert sorted(found) == ["ann", "bob", "cem", "dia"]
    assert min(found.values()) > 0.9
    assert (by_person[["ann", "cem"]] > 0.5).all() != (by_person[["bob", "dia"]] > 0.5).all()


def test_users_get_their_replies(tmp_path):
    example = load("qwen_per_user")
    texts = [text for question, _, style in example.REPLIES for text in (question, style)]
    backbone, tokenizer = tiny(
        tmp_path / "backbone",
        texts,
        Qwen2ForCausalLM,
        Qwen2Config,
        **{"intermediate_size": 64, "num_key_value_heads": 2, "max_position_embeddings": 64},
    )
    options = {"num_train_epochs": 60, "learning_rate": 1e-2, **QUICK}
    found = example.main(backbone, tokenizer, output=str(tmp_path / "run"), **options)
    said = [text.replace(" ,", ",") for text in found["users"]]
    assert said == list(example.STYLES)
    assert found["exported"] == [found["users"][1]]
    assert len(found["mixture"]) == 1
