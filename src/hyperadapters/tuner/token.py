"""A token with an embedding of its own for every row, put into the input of a classifier."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hyperadapters.backbones import first_position
from hyperadapters.errors import ConditionError

# What has a value for every position of the input.
PER_POSITION = ("input_ids", "attention_mask", "token_type_ids")
NEEDED = ("input_ids", "inputs_embeds", "attention_mask")


def token_width(model: Any, task: str | None) -> int | None:
    """Width of a model's embeddings of words; `None` where no token can be put among them.

    It can in an encoder that classifies texts and takes `inputs_embeds`.
    """
    takes = inspect.signature(type(model).forward).parameters
    if str(getattr(task, "value", task)) != "SEQ_CLS" or not set(NEEDED) <= set(takes):
        return None
    # The classifiers of decoders read the last word, and find it by `input_ids`.
    if hasattr(model, "score") or getattr(model.config, "is_encoder_decoder", False):
        return None
    weight = getattr(model.get_input_embeddings(), "weight", None)
    return None if weight is None else int(weight.shape[1])


def with_tokens(
    model: Any, tokens: Sequence[Float[Tensor, "n width"]], inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call with further tokens behind the first word of every row.

    Words behind them have their positions one higher. Of the two numberings of positions that
    encoders have, from the left and from the first word that is no padding, the model keeps its.

    Args:
        model: The classifier.
        tokens: Their embeddings, of n rows each; n divides the number of rows, as ever.
        inputs: The arguments of the call, by name.

    Raises:
        ConditionError: Positions are given, or there is no input.
    """
    given = {name: value for name, value in inputs.items() if value is not None}
    if "position_ids" in given:
        raise ConditionError("position_ids cannot be given where a token is put into the input")
    if not given.keys() & {"input_ids", "inputs_embeds"}:
        raise ConditionError("got neither input_ids nor inputs_embeds to put a token into")
    embeds = given.get("inputs_embeds")
    if embeds is None:
        embeds = model.get_input_embeddings()(given["input_ids"])
    mask = given.get("attention_mask")
    if mask is None:
        mask = torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device)
    given["attention_mask"] = mask
    first = first_position(model)
    for token in tokens:
        begin = given["attention_mask"].argmax(dim=1, keepdim=True)
        places = torch.arange(embeds.shape[1] + 1, device=embeds.device)
        is_token = places == begin + 1
        # The place of the token is a copy of the first word, but for its embedding.
        taken = places - (places > begin).long()
        for name in given.keys() & set(PER_POSITION):
            given[name] = given[name].gather(1, taken)
        embeds = embeds.gather(1, taken.unsqueeze(2).expand(-1, -1, embeds.shape[2]))
        rows = token.to(embeds.dtype).repeat_interleave(len(embeds) // len(token), dim=0)
        embeds = torch.where(is_token.unsqueeze(2), rows.unsqueeze(1), embeds)
        if "input_ids" in given and first is not None:
            # Some word or other, and no padding, which is the number before the first position.
            given["input_ids"] = given["input_ids"].masked_fill(is_token, first)
    given["inputs_embeds"] = embeds
    words = given.pop("input_ids", None)
    if words is not None and first is not None:
        # Positions are read off `input_ids`, of which nothing is left when the model is called.
        is_word = words != first - 1
        given["position_ids"] = torch.cumsum(is_word, dim=1) * is_word + first - 1
    return given
