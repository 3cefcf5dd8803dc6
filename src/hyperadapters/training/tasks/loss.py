"""Label smoothing as fairseq has it, and the model's own way of shifting what it is to write."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hyperadapters.data.tasks.tokens import IGNORED


def smoothed_loss(
    logits: Float[Tensor, "rows positions vocabulary"],
    labels: Int[Tensor, "rows positions"],
    smoothing: float = 0.0,
) -> tuple[Float[Tensor, ""], int]:
    """Smoothed cross-entropy in nats, summed over the target tokens of all rows.

    With V words, ε = `smoothing` and one term per token whose label y is not -100:

        (1 - ε) · Σ -log p_y + (ε / V) · Σ Σ_v -log p_v

    (fairseq's ``label_smoothed_cross_entropy``, which is that of Ivison & Peters 2022; Szegedy et
    al. 2016 spread ε over all words likewise.)

    Args:
        logits: What the model says at every position, before the softmax.
        labels: The words wanted; -100 where there is none.
        smoothing: ε, from 0 to 1.

    Returns:
        The sum in float32, and the number of its tokens; the sum of no token is 0.
    """
    wanted = labels != IGNORED
    chosen = labels[wanted]
    # Padding is left out before the softmax: of a batch of label words most positions are that.
    words = torch.log_softmax(logits[wanted].float(), dim=-1)
    loss = -(1.0 - smoothing) * words.gather(1, chosen[:, None]).sum()
    if smoothing:
        loss = loss - smoothing / logits.shape[-1] * words.sum()
    return loss, len(chosen)


def decoder_inputs(model: Any, labels: Int[Tensor, "rows positions"]) -> Tensor:
    """What the decoder reads in order to write `labels`: the same words, one position later.

    The model is given these instead of the labels, or it would compute a loss of its own.

    Args:
        model: An encoder-decoder of Transformers, perhaps inside PEFT.
        labels: The words wanted; -100 where there is none.

    Returns:
        Token ids of shape ``(rows, positions)``, beginning with the decoder's start.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if hasattr(inner, "prepare_decoder_input_ids_from_labels"):
        return inner.prepare_decoder_input_ids_from_labels(labels=labels)
    config = inner.config
    shifted = labels.roll(1, dims=1)
    shifted[:, 0] = config.decoder_start_token_id
    return shifted.masked_fill(shifted == IGNORED, config.pad_token_id)
