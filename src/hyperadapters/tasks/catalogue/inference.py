"""Inference and paraphrase outside GLUE."""

from hyperadapters.tasks.catalogue.parts import (
    CONVERTED,
    NO_TEST,
    WITH_TEST,
    classification,
    numbered,
)
from hyperadapters.tasks.hub import Hub
from hyperadapters.tasks.task import Task

_INFERENCE = "premise: {premise} hypothesis: {hypothesis}"
_PAIR = "sentence1: {sentence1} sentence2: {sentence2}"
_ROUNDS = ("r1", "r2", "r3")
_HYPOTHESES = (
    "observation 1: {observation_1} observation 2: {observation_2}"
    " hypothesis 1: {hypothesis_1} hypothesis 2: {hypothesis_2}"
)

INFERENCE: tuple[Task, ...] = (
    classification(
        "snli",
        _INFERENCE,
        numbered(3),
        # Where the raters did not agree there is no label.
        Hub("stanfordnlp/snli", None, WITH_TEST, without={"label": ("-1",)}),
    ),
    classification(
        "anli",
        _INFERENCE,
        numbered(3),
        Hub(
            "facebook/anli",
            None,
            {
                ours: tuple(f"{theirs}_{round_}" for round_ in _ROUNDS)
                for ours, theirs in (("train", "train"), ("dev", "dev"), ("test", "test"))
            },
        ),
    ),
    classification(
        "art",
        _HYPOTHESES,
        numbered(2, first=1),
        Hub("allenai/art", None, NO_TEST, CONVERTED),
        split_rule="thousand",
    ),
    classification(
        "paws",
        _PAIR,
        numbered(2),
        Hub("google-research-datasets/paws", "labeled_final", WITH_TEST),
    ),
    classification(
        "scitail",
        _PAIR,
        {"entailment": "0", "neutral": "1"},
        Hub(
            "allenai/scitail",
            "snli_format",
            WITH_TEST,
            CONVERTED,
            columns={"label": "gold_label"},
        ),
    ),
    classification(
        "sick",
        _INFERENCE,
        {"ENTAILMENT": "0", "NEUTRAL": "1", "CONTRADICTION": "2"}
        # The hub counts the same labels, in this order.
        | numbered(3),
        Hub(
            "RobZamp/sick",
            None,
            NO_TEST,
            CONVERTED,
            columns={"premise": "sentence_A", "hypothesis": "sentence_B"},
        ),
        split_rule="half",
    ),
)
