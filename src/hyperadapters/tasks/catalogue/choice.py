"""One of several answers, endings or words is right; its number is written."""

from hyperadapters.tasks.catalogue.parts import (
    CONVERTED,
    NO_TEST,
    classification,
    numbered,
)
from hyperadapters.tasks.hub import Hub
from hyperadapters.tasks.task import Task

_LETTERS = "ABCDE"

CHOICE: tuple[Task, ...] = (
    classification(
        "social_i_qa",
        "question: {question} context: {context}"
        " answerA: {answerA} answerB: {answerB} answerC: {answerC}",
        numbered(3, first=1),
        # A copy of allenai/social_i_qa, which is a script.
        Hub("lighteval/siqa", None, NO_TEST),
        split_rule="thousand",
    ),
    classification(
        "cosmos_qa",
        "question: {question} context: {context}"
        " answer0: {answer0} answer1: {answer1} answer2: {answer2} answer3: {answer3}",
        numbered(4),
        Hub("allenai/cosmos_qa", None, NO_TEST, CONVERTED),
        split_rule="thousand",
    ),
    classification(
        "winogrande",
        "sentence: {sentence} option1: {option1} option2: {option2}",
        numbered(2, first=1),
        Hub("allenai/winogrande", "winogrande_l", NO_TEST),
        target="answer",
        split_rule="thousand",
    ),
    classification(
        "hellaswag",
        "ctx: {ctx} ending0: {ending0} ending1: {ending1} ending2: {ending2} ending3: {ending3}",
        numbered(4),
        Hub(
            "Rowan/hellaswag",
            None,
            NO_TEST,
            columns={f"ending{i}": f"endings.{i}" for i in range(4)},
        ),
        split_rule="thousand",
    ),
    classification(
        "commonsense_qa",
        "question: {question} A: {A} B: {B} C: {C} D: {D} E: {E}",
        {letter: letter for letter in _LETTERS},
        Hub(
            "tau/commonsense_qa",
            None,
            NO_TEST,
            columns={letter: f"choices.text.{i}" for i, letter in enumerate(_LETTERS)},
        ),
        target="answerKey",
        split_rule="half",
    ),
)
