"""Rows to train an encoder–decoder on plain texts: pairs of a source and a target.

Three objectives, all made of the text alone:

- *infilling*: of a passage 30 % of the words, in spans of three in the mean, are replaced by one
  mask each; the target is the passage (Lewis et al. 2020, "BART", section 2.2).
- *corruption*: of a passage 15 % of the words, in spans of three in the mean, are replaced by
  sentinels; the target names each sentinel and what it stands for (Raffel et al. 2020, section
  3.1.4).
- *selection*: a sentence with one span masked and some other words left out is the question, a
  passage in which it stands the context, the span is the target (Glass et al. 2020, "Span
  Selection Pre-training for Question Answering"; here it is written).
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

# Data set → its columns of text. Labels, answers and summaries are not read.
TEXTS = {
    "fairytaleqa": ("context",),
    "subjqa": ("context",),
    "dialogsum": ("document",),
    "cola": ("sentence",),
    "sst2": ("sentence",),
    "mrpc": ("sentence1", "sentence2"),
    "stsb": ("sentence1", "sentence2"),
    "rte": ("sentence1", "sentence2"),
    "tweeteval_irony": ("text",),
    "tweeteval_emotion": ("text",),
}
# Words of BERT's vocabulary that stand for nothing.
SENTINELS = tuple(f"[unused{number}]" for number in range(1, 31))
WORDS = 48
LETTERS = 480
CORRUPTED = 0.15
INFILLED = 0.3
SPAN = 3.0
DROPPED = 0.25
Passage = list[list[str]]
"""A passage: sentences of words."""


def passages(data: Path) -> list[Passage]:
    """Passages of at most `WORDS` words from the training texts, each once.

    Those of more than `LETTERS` letters, which are hardly words, are left out, so that nothing has
    to be cut at a number of tokens.
    """
    found: list[Passage] = []
    for name, columns in TEXTS.items():
        frame = pd.read_parquet(data / f"{name}.parquet")
        frame = frame[frame["split"] == "train"]
        for text in pd.unique(pd.concat([frame[column] for column in columns])):
            found.extend(_cut(str(text)))
    short = [p for p in found if sum(len(word) + 1 for s in p for word in s) <= LETTERS]
    return list({_text(passage): passage for passage in short}.values())


def without(passages: list[Passage], held_out: list[Passage]) -> list[Passage]:
    """The passages of which no sentence of six words or more stands in those that are held out."""
    seen = {sentence for passage in held_out for sentence in _long(passage)}
    return [passage for passage in passages if not seen.intersection(_long(passage))]


def _long(passage: Passage) -> list[str]:
    return [" ".join(sentence) for sentence in passage if len(sentence) >= 6]


def _text(passage: Passage) -> str:
    return " ".join(word for sentence in passage for word in sentence)


def _cut(text: str) -> Iterator[Passage]:
    sentences = [s.split()[:WORDS] for s in re.split(r"(?<=[.!?])\s+|\n+", text)]
    passage: Passage = []
    for sentence in filter(None, sentences):
        if passage and sum(map(len, passage)) + len(sentence) > WORDS:
            yield passage
            passage = []
        passage = [*passage, sentence]
    if passage:
        yield passage


def is_fit(passage: Passage, objective: str) -> bool:
    """Whether there is enough in a passage for an objective."""
    if objective == "selection":
        return len(passage) >= 2 and max(map(len, passage)) >= 6
    return sum(map(len, passage)) >= 8


def row(passage: Passage, objective: str, random: np.random.Generator) -> tuple[str, str]:
    """Source and target of a passage."""
    return OBJECTIVES[objective](passage, random)


def infilled(passage: Passage, random: np.random.Generator) -> tuple[str, str]:
    """A passage with masks, and the passage."""
    words = [word for sentence in passage for word in sentence]
    source: list[str] = []
    done = 0
    for start, end in _spans(len(words), INFILLED, random):
        source += [*words[done:start], "[MASK]"]
        done = end
    return " ".join([*source, *words[done:]]), " ".join(words)


def corrupted(passage: Passage, random: np.random.Generator) -> tuple[str, str]:
    """A passage with sentinels, and what they stand for."""
    words = [word for sentence in passage for word in sentence]
    source: list[str] = []
    target: list[str] = []
    done = 0
    for sentinel, (start, end) in zip(
        SENTINELS, _spans(len(words), CORRUPTED, random), strict=False
    ):
        source += [*words[done:start], sentinel]
        target.append(" ".join([sentinel, *words[start:end]]))
        done = end
    return " ".join([*source, *words[done:]]), " ".join(target)


def _spans(n_words: int, share: float, random: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Spans in their order, no two of which overlap: start, and one past the end."""
    done = 0
    for start in sorted(random.choice(n_words, max(1, round(share * n_words / SPAN)), False)):
        if start >= done:
            done = min(n_words, int(start) + max(1, int(random.poisson(SPAN))))
            yield int(start), done


def selected(passage: Passage, random: np.random.Generator) -> tuple[str, str]:
    """A sentence with a gap before the passage it is from, and what is in the gap."""
    long = [sentence for sentence in passage if len(sentence) >= 6]
    sentence = long[random.integers(len(long))]
    length = int(random.integers(1, 6))
    start = int(random.integers(0, len(sentence) - min(length, 4)))
    end = min(len(sentence), start + length)
    before, after = (
        [word for word in part if random.random() >= DROPPED]
        for part in (sentence[:start], sentence[end:])
    )
    question = " ".join([*before, "[MASK]", *after])
    context = _text(passage)
    target = " ".join(sentence[start:end]).strip(".,;:!?\"'()")
    return f"question: {question} context: {context}", target or " ".join(sentence[start:end])


OBJECTIVES = {"infilling": infilled, "corruption": corrupted, "selection": selected}
