"""How a tokenizer writes label words and numbers, and how what was written is read again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hyperadapters.errors import ConfigError
from hyperadapters.tasks import Task


@dataclass(frozen=True)
class Spelling:
    """What a tokenizer makes of the answers of a task.

    A tokenizer without capitals writes ``positive`` for ``Positive``, and one that splits at signs
    ``not _ entailment`` for ``not_entailment``; neither is a mistake of the model. So an answer is
    compared with what the tokenizer makes of each label word.

    Attributes:
        task: The task.
        words: What is decoded → the label word; empty where targets are no labels.
        longest: Tokens of the longest label word with the end token; `None` without labels.
    """

    task: Task
    words: Mapping[str, str]
    longest: int | None

    @classmethod
    def of(cls, task: Task, tokenizer: Any) -> "Spelling":
        """The spelling of a task.

        Raises:
            ConfigError: The tokenizer does not know a label word, or writes two of them alike.
        """
        tokens = {word: _tokens(tokenizer, word) for word in task.words}
        unknown = [word for word, ids in tokens.items() if not ids or _unknown(tokenizer, ids)]
        if unknown:
            named = ", ".join(repr(word) for word in unknown)
            raise ConfigError(
                f"task {task.name}: the backbone's tokenizer cannot write the label "
                f"word{'s' if len(unknown) > 1 else ''} {named}; choose other words in `labels`"
            )
        decoded = {word: _decoded(tokenizer, ids) for word, ids in tokens.items()}
        words: dict[str, str] = {}
        for word, text in decoded.items():
            if text in words:
                raise ConfigError(
                    f"task {task.name}: the backbone's tokenizer writes the label words "
                    f"{words[text]!r} and {word!r} alike ({text!r}); choose other words in `labels`"
                )
            words[text] = word
        longest = max(map(len, tokens.values())) + 1 if tokens else None
        return cls(task, words, longest)

    def read(self, decoded: str) -> str:
        """What was written, as the task has it.

        Args:
            decoded: The text without special tokens.

        Returns:
            A label word as it was declared; of a number all that stands between its signs (``3.4``
            where the tokenizer writes ``3 . 4``); any other text stripped.
        """
        if self.task.kind == "regression":
            return "".join(decoded.split())
        text = decoded.strip()
        return self.words.get(text, text)

    def max_new_tokens(self, max_target: int) -> int:
        """How long an answer may be, in tokens with the end.

        Args:
            max_target: Longest target in training, for tasks that say nothing themselves.
        """
        generation = self.task.generation
        longest = generation.max_new_tokens or self.longest or max_target
        return max(longest, generation.min_new_tokens)


def spellings(tasks: Iterable[Task], tokenizer: Any) -> dict[str, Spelling]:
    """Spelling of every task by its name.

    Raises:
        ConfigError: A label word cannot be written or told from another.
    """
    return {task.name: Spelling.of(task, tokenizer) for task in tasks}


def _tokens(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def _unknown(tokenizer: Any, ids: list[int]) -> bool:
    return tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids


def _decoded(tokenizer: Any, ids: list[int]) -> str:
    return tokenizer.decode(ids, skip_special_tokens=True).strip()
