"""GLUE (Wang et al., 2019), and three tasks of SuperGLUE that the paper trains on."""

from hyperadapters.tasks.catalogue.parts import NO_TEST, classification, numbered
from hyperadapters.tasks.hub import Hub
from hyperadapters.tasks.task import SplitRule, Task

_PAIR = "sentence1: {sentence1} sentence2: {sentence2}"
_INFERENCE = "premise: {premise} hypothesis: {hypothesis}"


def _glue(name: str, source: str, split_rule: SplitRule, *metrics: str, n_labels: int = 2) -> Task:
    hub = Hub("nyu-mll/glue", name, NO_TEST)
    return classification(
        name, source, numbered(n_labels), hub, metrics=metrics, split_rule=split_rule
    )


_STSB = Task(
    "stsb",
    "regression",
    _PAIR,
    "label",
    ("pearson", "spearman"),
    split_rule="half",
    hub=Hub("nyu-mll/glue", "stsb", NO_TEST),
)

# Tested on the matched half and chosen by the mismatched one, both with labels.
_MNLI = classification(
    "mnli",
    _INFERENCE,
    numbered(3),
    Hub(
        "nyu-mll/glue",
        "mnli",
        {"train": "train", "dev": "validation_mismatched", "test": "validation_matched"},
    ),
)


def _superglue(name: str, source: str, n_labels: int) -> Task:
    return classification(
        f"superglue-{name}",
        source,
        numbered(n_labels),
        Hub("aps/super_glue", name, NO_TEST),
        split_rule="half",
    )


GLUE: tuple[Task, ...] = (
    _glue("cola", "sentence: {sentence}", "half", "matthews"),
    _glue("sst2", "sentence: {sentence}", "thousand", "accuracy"),
    _glue("mrpc", _PAIR, "half", "f1", "accuracy"),
    _STSB,
    _glue("qqp", "question1: {question1} question2: {question2}", "thousand", "f1", "accuracy"),
    _MNLI,
    _glue("qnli", "question: {question} sentence: {sentence}", "thousand", "accuracy"),
    _glue("rte", _PAIR, "half", "accuracy"),
    _glue("wnli", _PAIR, "half", "accuracy"),
    _superglue("boolq", "question: {question} passage: {passage}", 2),
    _superglue("rte", _INFERENCE, 2),
    _superglue("cb", _INFERENCE, 3),
)
