"""The names of metrics of tasks; how they are worked out is the business of `evaluation.tasks`."""

from collections.abc import Mapping
from types import MappingProxyType

METRICS: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "share of answers that are the right label word",
        "f1": "F1 of the last label word (the positive one); an invalid answer is a wrong one",
        "matthews": "Matthews correlation of label words; an invalid answer is a wrong one",
        "pearson": "Pearson correlation of the numbers; 0 where it is not defined",
        "spearman": "Spearman rank correlation of the numbers; 0 where it is not defined",
        "exact_match": "share of answers equal to an accepted one, normalised as for SQuAD",
        "token_f1": "overlap in words with the best accepted answer, normalised as for SQuAD",
        "rouge1": "F of shared words, stemmed",
        "rouge2": "F of shared pairs of words, stemmed",
        "rougeL": "F of the longest common subsequence of words, stemmed",
        "rougeLsum": "rougeL by sentences",
        "bleu": "BLEU of the corpus by sacrebleu, from 0 to 1",
        "length": "mean number of words that were written; never part of an average",
    }
)
