"""Questions about a context that is read in windows.

Columns: `question, context, answers` (a list; none: no answer), `answer_starts` (where each stands
in the context, -1: not a literal span) and `target` (the first answer). The windows of a context
bear no prefix, except in SQuAD and `mrqa_reg`.
"""

from hyperadapters.tasks.catalogue.parts import CONVERTED, NO_TEST
from hyperadapters.tasks.generation import Generation
from hyperadapters.tasks.hub import Hub
from hyperadapters.tasks.task import Task

_SOURCE = "question: {question} context: {context}"
_METRICS = ("exact_match", "token_f1")


def _question(
    name: str,
    hub: Hub,
    *,
    prefix: str | None = "",
    references: str = "answers",
    max_new_tokens: int = 64,
) -> Task:
    return Task(
        name,
        "qa",
        _SOURCE,
        "target",
        _METRICS,
        prefix=prefix,
        references=references,
        generation=Generation(max_new_tokens=max_new_tokens),
        hub=hub,
    )


_SPANS = {
    "answers": "answers.text",
    "answer_starts": "answers.answer_start",
    "target": "answers.text.0",
}

# The answers that stand in the context are not those that are accepted, nor in their order: the
# spans are read with their own texts, and what else is accepted is put behind them.
_MRQA = Hub(
    "mrqa-workshop/mrqa",
    columns={
        "answers": "detected_answers.text",
        "answer_starts": "detected_answers.char_spans.*.start.0",
        "target": "detected_answers.text.0",
        "accepted": "answers",
        "id": "qid",
    },
)

QUESTIONS: tuple[Task, ...] = (
    _question(
        "squad",
        Hub("rajpurkar/squad", None, NO_TEST, columns=_SPANS),
        prefix=None,
        max_new_tokens=16,
    ),
    _question("mrqa", _MRQA, references="accepted"),
    _question("mrqa_reg", _MRQA, references="accepted", prefix=None),
    _question(
        "fairytaleqa",
        Hub(
            "WorkInTheTime/FairytaleQA",
            columns={"context": "story_section", "target": "answer1", "answers": "answer1"},
        ),
    ),
    _question(
        "subjqa",
        Hub("megagonlabs/subjqa", "electronics", revision=CONVERTED, columns=_SPANS),
    ),
)
