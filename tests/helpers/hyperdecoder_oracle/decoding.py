"""Logits, greedy decoding and beam search (§1.5)."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from hyperdecoder_oracle.adapters import encode
from hyperdecoder_oracle.parts import Array, Encoded, Hypothesis, System
from hyperdecoder_oracle.t5 import decode_row


def logits(
    system: System,
    input_ids: ArrayLike,  # (rows, n)
    attention_mask: ArrayLike,  # (rows, n): 1 = token, 0 = padding, on whichever side
    decoder_input_ids: ArrayLike,  # (rows, m), beginning with the start token
    tasks: Sequence[int] | None = None,  # (rows,)
) -> Array:
    """Teacher-forced logits (rows, m, V). The decoder masks nothing but the future."""
    found = []
    for row, decoder_ids in zip(
        encode(system, input_ids, attention_mask, tasks), np.asarray(decoder_input_ids), strict=True
    ):
        found.append(decode_row(system, decoder_ids.tolist(), row))
    return np.stack(found)


def greedy(
    system: System,
    input_ids: ArrayLike,
    attention_mask: ArrayLike,
    max_length: int,
    min_length: int = 0,
    tasks: Sequence[int] | None = None,
) -> list[list[int]]:
    """§1.5, greedily: per row the tokens from the start token up to and with the end token.

    `max_length` and `min_length` count the start token, as in Hugging Face's `generate`: the end
    token is forbidden as long as the sequence is shorter than `min_length`.
    """
    found = []
    for row in encode(system, input_ids, attention_mask, tasks):
        tokens = [system.backbone.start]
        while len(tokens) < max_length:
            scores = decode_row(system, tokens, row)[-1]
            if len(tokens) < min_length:
                scores[system.backbone.eos] = -math.inf
            tokens.append(int(np.argmax(scores)))
            if tokens[-1] == system.backbone.eos:
                break
        found.append(tokens)
    return found


def beam_search(
    system: System,
    input_ids: ArrayLike,
    attention_mask: ArrayLike,
    num_beams: int,
    max_length: int,
    min_length: int = 0,
    tasks: Sequence[int] | None = None,
) -> list[list[Hypothesis]]:
    """§1.5 with beams: per row the finished beams, best first (at most `num_beams` of them).

    The semantics are those of Hugging Face's defaults, see `beam_search_row`. All beams of a row
    have the same encoder states and the same adapters.
    """
    found = []
    for row in encode(system, input_ids, attention_mask, tasks):

        def next_scores(tokens: list[int], row: Encoded = row) -> Array:
            return _log_softmax(decode_row(system, tokens, row)[-1])

        hypotheses = beam_search_row(
            next_scores,
            num_beams,
            max_length,
            min_length,
            system.backbone.start,
            system.backbone.eos,
        )
        found.append(hypotheses)
    return found


def beam_search_row(
    next_scores: Callable[[list[int]], Array],
    num_beams: int,
    max_length: int,
    min_length: int,
    start: int,
    eos: int,
) -> list[Hypothesis]:
    """Beam search with length_penalty 1.0, early_stopping False and one end token.

    1. At every step the 2 · num_beams best one-token continuations of all running beams are the
       candidates, by the sum of their log-probabilities. A forbidden end token (`min_length`)
       gets −∞ after the softmax; the others are not renormalised.
    2. A candidate stops if it ends with the end token or has `max_length` tokens. If it stops and
       is among the first num_beams candidates, it is finished, with the score sum / (number of
       tokens without the start token); if it stops further down, it is lost.
    3. The num_beams best finished ones are kept.
    4. The num_beams best candidates that have not stopped run on.
    5. The search ends when nothing runs on, or when num_beams are finished and the best running
       beam, divided by its present length, is not better than the worst finished one.
    """
    running = [(0.0, [start])]
    finished: list[Hypothesis] = []
    while True:
        candidates = []
        for total, tokens in running:
            scores = next_scores(tokens).copy()
            if len(tokens) < min_length:
                scores[eos] = -math.inf
            for token, score in enumerate(scores):
                candidates.append((total + float(score), [*tokens, token]))
        candidates.sort(key=lambda pair: -pair[0])  # stable
        running = []
        for place, (total, tokens) in enumerate(candidates[: 2 * num_beams]):
            if tokens[-1] == eos or len(tokens) == max_length:
                if place < num_beams:
                    finished.append(Hypothesis(tokens, total / (len(tokens) - 1)))
            else:
                running.append((total, tokens))
        finished.sort(key=lambda hypothesis: -hypothesis.score)
        del finished[num_beams:]
        del running[num_beams:]
        if not running:
            return finished
        best, longest = running[0]
        if len(finished) == num_beams and best / (len(longest) - 1) <= finished[-1].score:
            return finished


def _log_softmax(scores: Array) -> Array:
    shifted = scores - scores.max()
    return shifted - math.log(np.exp(shifted).sum())
