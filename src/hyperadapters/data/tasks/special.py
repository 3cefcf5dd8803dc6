"""The tokens that a tokenizer puts around a text, and those that end and fill up."""

from dataclasses import dataclass
from typing import Any

from hyperadapters.errors import ConfigError

_PROBE = "a b"


@dataclass(frozen=True)
class Special:
    """Tokens that are no part of a text.

    Attributes:
        start: What stands before every text: ``[CLS]`` for BERT, nothing for T5.
        end: What stands behind it: ``[SEP]``, ``</s>``.
        answer_end: The token that ends an answer.
        pad: The token that fills up.
    """

    start: tuple[int, ...]
    end: tuple[int, ...]
    answer_end: int
    pad: int

    @property
    def n_around(self) -> int:
        """How many tokens stand around a text."""
        return len(self.start) + len(self.end)

    def around(self, ids: list[int]) -> list[int]:
        """A text with what stands around it."""
        return [*self.start, *ids, *self.end]


def special_tokens(tokenizer: Any) -> Special:
    """The special tokens of a tokenizer of Transformers.

    What stands around a text is seen from a text: of the ways to ask a tokenizer none holds for
    all of them.

    Raises:
        ConfigError: It has no padding token, no token that ends an answer, or no offsets (it is not
            a fast one).
    """
    name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
    if not getattr(tokenizer, "is_fast", False):
        raise ConfigError(
            f"the tokenizer {name} is not a fast one: it cannot tell where in a text its tokens are"
        )
    pad = tokenizer.pad_token_id
    if pad is None:
        raise ConfigError(
            f"the tokenizer {name} has no padding token; give it one, for example"
            " tokenizer.pad_token = tokenizer.eos_token"
        )
    ends = [tokenizer.eos_token_id, tokenizer.sep_token_id]
    answer_end = next((token for token in ends if token is not None), None)
    if answer_end is None:
        raise ConfigError(
            f"the tokenizer {name} has no token that ends an answer (eos_token or sep_token)"
        )
    bare = tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
    full = tokenizer(_PROBE)["input_ids"]
    n_start = next(
        (n for n in range(len(full) - len(bare) + 1) if full[n : n + len(bare)] == bare), None
    )
    if n_start is None:
        raise ConfigError(f"the tokenizer {name} changes a text when it puts tokens around it")
    end = full[n_start + len(bare) :]
    return Special(tuple(full[:n_start]), tuple(end), int(answer_end), int(pad))
