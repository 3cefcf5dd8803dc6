"""What the frozen trunk makes of each text, kept for as long as it is needed."""

import numpy as np
import torch
from torch import Tensor

from hyperadapters.backbones import Trunk
from hyperadapters.data.tokens import TokenizedTexts

# Above this size states are computed anew for every batch instead of being kept.
MAX_BYTES = 4 * 2**30
TOKENS_PER_PASS = 8192


class TextStates:
    """Hidden states of texts below the first adapted layer, computed once per text.

    Args:
        trunk: The frozen part of the backbone.
        tokens: The texts.
        width: Width of a state.
        max_bytes: Memory that may be used to keep states.
    """

    def __init__(
        self, trunk: Trunk, tokens: TokenizedTexts, width: int, max_bytes: int = MAX_BYTES
    ) -> None:
        self._trunk = trunk
        self._tokens = tokens
        self._width = width
        needed = int(tokens.lengths.sum()) * width * torch.float32.itemsize
        self._kept: list[Tensor] | None = self._compute_all() if needed <= max_bytes else None

    def batch(self, texts: np.ndarray) -> dict[str, Tensor]:
        """Model inputs for these texts, one line each.

        Args:
            texts: Positions of the texts, shape ``(rows,)``; repetitions are allowed.

        Returns:
            `inputs_embeds` of shape ``(rows, positions, width)`` and `attention_mask`.
        """
        if self._kept is None:
            distinct, row = np.unique(texts, return_inverse=True)
            inputs = self._tokens.batch(distinct)
            rows = torch.from_numpy(row)
            states = self._trunk.states(inputs).cpu().index_select(0, rows)
            return {
                "inputs_embeds": states,
                "attention_mask": inputs["attention_mask"].index_select(0, rows),
            }
        kept = [self._kept[i] for i in texts]
        length = max(state.shape[0] for state in kept)
        states = torch.zeros(len(kept), length, self._width)
        mask = torch.zeros(len(kept), length, dtype=torch.long)
        for i, state in enumerate(kept):
            states[i, : state.shape[0]] = state
            mask[i, : state.shape[0]] = 1
        return {"inputs_embeds": states, "attention_mask": mask}

    def _compute_all(self) -> list[Tensor]:
        lengths = self._tokens.lengths
        kept: list[Tensor] = [torch.empty(0)] * len(lengths)
        for texts in _by_length(lengths):
            inputs = self._tokens.batch(texts)
            states = self._trunk.states(inputs).cpu()
            for i, state, mask in zip(texts, states, inputs["attention_mask"].bool(), strict=True):
                kept[i] = state[mask].clone()
        return kept


def _by_length(lengths: np.ndarray) -> list[np.ndarray]:
    """Texts of similar length together, about `TOKENS_PER_PASS` tokens a batch."""
    order = np.argsort(lengths, kind="stable")
    padded = np.cumsum(lengths[order]) // TOKENS_PER_PASS
    return np.split(order, np.flatnonzero(np.diff(padded)) + 1)
