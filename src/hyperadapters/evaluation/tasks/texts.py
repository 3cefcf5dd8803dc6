"""Metrics of longer texts: ROUGE, BLEU, length."""

import importlib
import re
from functools import lru_cache
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import sparse

from hyperadapters.errors import ConfigError
from hyperadapters.evaluation.counts import Metric
from hyperadapters.evaluation.tasks.answers import Answers

_N_STEMS = 200_000
_BETWEEN_SENTENCES = re.compile(r"\s*\n\s*|(?:(?<=[.!?])|(?<=[.!?][\"')\]]))\s+")


def rouge1(answers: Answers) -> Metric:
    """ROUGE-1: F1 of shared words; for what all four have in common see `_rouge`."""
    return _rouge("rouge1", answers)


def rouge2(answers: Answers) -> Metric:
    """ROUGE-2: F1 of shared pairs of words (0 for a single word); see `_rouge`."""
    return _rouge("rouge2", answers)


def rouge_l(answers: Answers) -> Metric:
    """ROUGE-L: F1 of the longest common subsequence of words; see `_rouge`."""
    return _rouge("rougeL", answers)


def rouge_lsum(answers: Answers) -> Metric:
    """ROUGE-L of summaries: subsequences sentence by sentence; see `_rouge`, `split_sentences`."""
    return _rouge("rougeLsum", answers)


def bleu(answers: Answers) -> Metric:
    """BLEU of the corpus of answers, with one or more references each.

    Range 0 to 1 (sacrebleu's number by 100), higher is better. Tokens of ``13a``, up to four
    words in a row, smoothing ``exp``. It is made of sums over rows, so that bootstrap draws are
    exact. `n`: rows. Source: sacrebleu, ``BLEU().corpus_score``; Papineni et al. (2002).

    Raises:
        ConfigError: sacrebleu is not installed.
    """
    scorer = _needed("sacrebleu.metrics", "bleu").BLEU
    # Only the counts of single sentences are used; effective_order keeps sacrebleu from warning.
    counting = scorer(effective_order=True)
    rows = []
    for written, references in zip(answers.predicted, answers.references, strict=True):
        found = counting.sentence_score(written, references)
        rows.append([*found.counts, *found.totals, found.sys_len, found.ref_len])
    sums = sparse.csr_array(np.array(rows, np.float64).reshape(len(rows), 10))

    def finish(totals: Float[np.ndarray, "draws sums"]) -> Float[np.ndarray, " draws"]:
        return np.array([_bleu_of(scorer, row) for row in totals.tolist()], np.float64)

    return Metric("bleu", sums, finish, len(answers))


def length(answers: Answers) -> Metric:
    """Mean number of words written, split at white space; not a score, and in no average.

    From 0 on, neither direction is better. `n`: rows.
    """
    n_words = [float(len(text.split())) for text in answers.predicted]
    return answers.mean("length", n_words, highest=float("inf"))


def split_sentences(text: str) -> list[str]:
    """Sentences by a simple rule, which needs no trained model that has to be downloaded.

    They end at a new line, and at white space after ``.``, ``!`` or ``?``, between which and the
    space one closing quotation mark or bracket may stand. So ``Mr. Brown`` is cut in two, which
    nltk's model mostly avoids; answers and references are cut alike.
    """
    return [part for part in _BETWEEN_SENTENCES.split(text.strip()) if part]


def _rouge(name: str, answers: Answers) -> Metric:
    """Mean F-measure of one kind of ROUGE, with Porter's stemmer, against the best reference.

    Range 0 to 1, higher is better. With several references the one of the highest F-measure
    counts, as in rouge-score's ``score_multi``. Words are runs of ``a-z0-9`` after lower-casing,
    so a text in another script scores 0. The scorer is pure Python: rouge1 and rouge2 take about
    0.1 ms, rougeL and rougeLsum 0.4 ms for two texts of fifty words. `n`: rows. Source:
    rouge-score, ``RougeScorer``; Lin (2004).

    Raises:
        ConfigError: rouge-score is not installed.
    """
    module = _needed("rouge_score.rouge_scorer", name)
    scorer = module.RougeScorer([name], tokenizer=_tokenizer())
    values = []
    for written, references in zip(answers.predicted, answers.references, strict=True):
        # Sentences are lines to the scorer; the other kinds take a new line for a space.
        written, *targets = ("\n".join(split_sentences(text)) for text in (written, *references))
        values.append(float(scorer.score_multi(targets, written)[name].fmeasure))
    return answers.mean(name, values)


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    """rouge-score's tokens with its stemmer, which is slow, asked once for each word."""
    tokenize = _needed("rouge_score.tokenize", "rouge").tokenize
    stem = _needed("nltk.stem.porter", "rouge").PorterStemmer().stem
    stemmer = SimpleNamespace(stem=lru_cache(maxsize=_N_STEMS)(stem))
    return SimpleNamespace(tokenize=lambda text: tokenize(text, stemmer))


def _bleu_of(scorer: Any, totals: list[float]) -> float:
    *counts, n_words, n_reference = (round(total) for total in totals)
    found = scorer.compute_bleu(
        counts[:4], counts[4:], sys_len=n_words, ref_len=n_reference, smooth_method="exp"
    )
    return min(float(found.score) / 100, 1.0)  # sacrebleu's 100.00000000000004 is 100


def _needed(module: str, metric: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0].replace("_", "-")
        raise ConfigError(
            f"the metric {metric!r} needs the package {package}, which is not installed: "
            "pip install hyperadapters[tasks]"
        ) from error
