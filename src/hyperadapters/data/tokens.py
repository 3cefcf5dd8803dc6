"""Texts tokenised once, and padded as late as possible."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenizedTexts:
    """Distinct texts as lists of tokens.

    Attributes:
        columns: What the tokenizer made (`input_ids`, perhaps `token_type_ids`): one list a text.
        pad_id: Token that fills up short texts.
        padding_side: ``"right"`` or ``"left"``.
    """

    columns: dict[str, list[list[int]]]
    pad_id: int
    padding_side: str = "right"

    def __len__(self) -> int:
        return len(self.columns["input_ids"])

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each text, shape ``(texts,)``."""
        return np.asarray([len(ids) for ids in self.columns["input_ids"]], dtype=np.int64)

    def batch(self, texts: Sequence[int] | np.ndarray) -> dict[str, Tensor]:
        """Padded tensors of some texts, each of shape ``(texts, positions)``."""
        length = max(len(self.columns["input_ids"][i]) for i in texts)
        padded = {
            name: self._padded(name, texts, length, self.pad_id if name == "input_ids" else 0)
            for name in self.columns
        }
        ones = [[1] * len(self.columns["input_ids"][i]) for i in texts]
        padded["attention_mask"] = self._stack(ones, length, 0)
        return padded

    def _padded(
        self, name: str, texts: Sequence[int] | np.ndarray, length: int, fill: int
    ) -> Tensor:
        return self._stack([self.columns[name][i] for i in texts], length, fill)

    def _stack(self, rows: list[list[int]], length: int, fill: int) -> Tensor:
        stacked = torch.full((len(rows), length), fill, dtype=torch.long)
        for line, row in zip(stacked, rows, strict=True):
            if self.padding_side == "right":
                line[: len(row)] = torch.tensor(row)
            else:
                line[length - len(row) :] = torch.tensor(row)
        return stacked


def tokenize(
    tokenizer: Any, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int
) -> TokenizedTexts:
    """Tokenise texts, or pairs of texts in the tokenizer's own form for pairs.

    What is longer than `max_length` tokens, special ones included, is cut at the side that the
    tokenizer cuts at (mostly the end). Of a pair the text that is the longer one at the time loses
    a token, until both fit: a short text beside a long one is kept whole.
    """
    encoded = tokenizer(
        list(texts),
        None if pairs is None else list(pairs),
        truncation="longest_first",
        max_length=max_length,
        padding=False,
        return_attention_mask=False,
    )
    columns = {name: encoded[name] for name in ("input_ids", "token_type_ids") if name in encoded}
    pad = tokenizer.pad_token_id
    return TokenizedTexts(columns, 0 if pad is None else pad, tokenizer.padding_side)
