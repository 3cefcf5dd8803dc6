"""Metrics of questions whose answer is a short stretch of text.

SQuAD's own definitions (Rajpurkar et al. 2016, arXiv 1606.05250, section 6.1; the official
evaluation script, version 1.1), with one difference: two answers of which nothing is left after
normalisation are the same in both metrics, where the script's F1 of them is 0.
"""

import re
import string
from collections import Counter
from collections.abc import Callable

from hyperadapters.evaluation.counts import Metric
from hyperadapters.evaluation.tasks.answers import Answers

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(answers: Answers) -> Metric:
    """Share of questions whose answer is an accepted one, after normalisation.

    Range 0 to 1, higher is better. `n`: questions. Source: SQuAD 1.1.
    """
    return answers.mean("exact_match", _best(answers, _same))


def token_f1(answers: Answers) -> Metric:
    """Mean over questions of the F1 of shared words, the best over all accepted answers.

    Range 0 to 1, higher is better. `n`: questions. Source: SQuAD 1.1.
    """
    return answers.mean("token_f1", _best(answers, _overlap))


def normalise_answer(text: str) -> str:
    """SQuAD's normal form: lower case, without ASCII punctuation and articles, single spaces."""
    plain = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def _best(answers: Answers, score: Callable[[str, str], float]) -> list[float]:
    """The highest score of every answer over its references."""
    rows = zip(answers.predicted, answers.references, strict=True)
    return [
        max(score(written, normalise_answer(accepted)) for accepted in references)
        for written, references in ((normalise_answer(got), accepted) for got, accepted in rows)
    ]


def _same(written: str, accepted: str) -> float:
    return float(written == accepted)


def _overlap(written: str, accepted: str) -> float:
    if not written or not accepted:
        return float(written == accepted)
    words, others = written.split(), accepted.split()
    n_shared = (Counter(words) & Counter(others)).total()
    return 2 * n_shared / (len(words) + len(others))
