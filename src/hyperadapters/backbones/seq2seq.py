"""Loading a frozen encoder–decoder, and the one that is built from the built-in encoder."""

from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, EncoderDecoderModel, PreTrainedModel

from hyperadapters.backbones.load import BUILT_IN, built_in_folder, quietly, refuse_missing_folder
from hyperadapters.errors import ConfigError

BUILT_IN_SEQ2SEQ = "minilm2minilm"


@dataclass(frozen=True)
class Seq2SeqBackbone:
    """An encoder–decoder to adapt.

    Attributes:
        name: What the user called it: ``"minilm2minilm"``, a Hugging Face name or a folder.
        model: The model.
        tokenizer: Its tokenizer.
        new_modules: Names of modules that come without weights, so that every recipe trains them.
    """

    name: str
    model: Any
    tokenizer: Any
    new_modules: tuple[str, ...] = ()


def load_seq2seq(name: str) -> Seq2SeqBackbone:
    """Load an encoder–decoder.

    What is new in it is drawn from torch's global random numbers: seed them before.

    Args:
        name: ``"minilm2minilm"`` (encoder and decoder both start from the built-in encoder, without
            a network), or a Hugging Face name or folder of an encoder–decoder.

    Raises:
        ConfigError: The backbone cannot be found or read, or is no encoder–decoder; says why.
    """
    if name == BUILT_IN:
        raise ConfigError(
            f"the backbone {name!r} is an encoder alone; built in is {BUILT_IN_SEQ2SEQ!r}"
        )
    refuse_missing_folder(name)
    try:
        with quietly():
            if name == BUILT_IN_SEQ2SEQ:
                loaded = _minilm2minilm()
            else:
                model = AutoModelForSeq2SeqLM.from_pretrained(name)
                tokenizer = AutoTokenizer.from_pretrained(name)
                loaded = Seq2SeqBackbone(name, model, tokenizer)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"the backbone {name!r} cannot be loaded: {reason}") from error
    # What adapter_config.json should name, rather than a folder of this machine.
    loaded.model.config._name_or_path = name
    loaded.model.name_or_path = name
    return loaded


def _minilm2minilm() -> Seq2SeqBackbone:
    """BERT to BERT: Rothe et al. 2020, https://arxiv.org/abs/1907.12461.

    Cross-attention and the layer before the tied output embedding are new.
    """
    folder = str(built_in_folder())
    model: Any = EncoderDecoderModel.from_encoder_decoder_pretrained(folder, folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    ids = {
        "decoder_start_token_id": tokenizer.cls_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    for name, value in ids.items():
        setattr(model.config, name, value)
        setattr(model.generation_config, name, value)
    _drop_pooler(model)
    new = ("crossattention", "cls.predictions.transform")
    return Seq2SeqBackbone(BUILT_IN_SEQ2SEQ, model, tokenizer, new)


def _drop_pooler(model: PreTrainedModel) -> None:
    # It belongs to the sentence encoder's other uses, and nothing here reads it.
    encoder: Any = model.get_encoder()
    if isinstance(getattr(encoder, "pooler", None), nn.Module):
        encoder.pooler = None
