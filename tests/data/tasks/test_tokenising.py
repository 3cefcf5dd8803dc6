import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.data.tasks import check_examples, tokenise
from hyperadapters.data.tasks.windows import overlap_of
from hyperadapters.errors import ConfigError, DataError
from hyperadapters.tasks import find_task

TASKS = {"cola": find_task("cola"), "subjqa": find_task("subjqa"), "far": find_task("subjqa")}
INDEX = {"cola": 0, "subjqa": 1, "far": 1}


def example(source="w1 w2", target="1", task="cola", **fields):
    row = {"task": task, "source": source, "target": target, "references": [target], "split": "dev"}
    return {**row, **fields}


def ask(context, answers=(), starts=None, *, question="w1 w2", target=None, task="subjqa"):
    answers = list(answers) or [""]
    return example(
        f"question: {question} context: {context}",
        answers[0] if target is None else target,
        task,
        references=answers,
        question=question,
        context=context,
        starts=[-1] * len(answers) if starts is None else list(starts),
    )


def frame_of(*rows):
    return check_examples(pd.DataFrame([{"text_id": str(i), **row} for i, row in enumerate(rows)]))


def tokens_of(tokenizer, *rows, max_source=64, max_target=16, with_targets=True, **options):
    return tokenise(
        frame_of(*rows),
        TASKS,
        INDEX,
        tokenizer,
        max_source=max_source,
        max_target=max_target,
        with_targets=with_targets,
        **options,
    )


# ---- plain sources ----


def test_rows_are_what_the_tokenizer_makes(any_tokenizer):
    texts = ["w1 w2", "question: w3", ""]
    tokens = tokens_of(any_tokenizer, *map(example, texts))
    assert tokens.input_ids == any_tokenizer(texts)["input_ids"]
    assert tokens.example.tolist() == [0, 1, 2]
    assert tokens.task.tolist() == [0, 0, 0]


def test_labels_end_with_the_end_token(t5_words, bert_words):
    for tokenizer, end in ((t5_words, "</s>"), (bert_words, "[SEP]")):
        labels = tokens_of(tokenizer, example(target="w7 w8"), example(target="")).labels
        shown = [tokenizer.convert_ids_to_tokens(ids) for ids in labels]
        assert shown == [["w7", "w8", end], [end]]


def test_long_sources_and_targets_are_cut_and_counted(any_tokenizer):
    long = " ".join(f"w{n}" for n in range(40))
    tokens = tokens_of(
        any_tokenizer, example(long, long), example("w1", "w2"), max_source=20, max_target=9
    )
    whole = any_tokenizer(long)["input_ids"]
    start = any_tokenizer("")["input_ids"][:-1]
    assert len(tokens.input_ids[0]) == 20
    assert tokens.input_ids[0][:-1] == whole[:19]
    assert tokens.input_ids[0][-1] == whole[-1]
    assert len(tokens.labels[0]) == 9
    assert tokens.labels[0][:-1] == whole[len(start) :][:8]
    assert tokens.truncated["cola"] == {"sources": 1, "targets": 1, "questions": 0}


def test_a_source_that_just_fits_is_not_cut(t5_words):
    tokens = tokens_of(t5_words, example("w1 w2 w3", "w1 w2"), max_source=4, max_target=3)
    assert tokens.truncated["cola"] == {"sources": 0, "targets": 0, "questions": 0}
    assert len(tokens.input_ids[0]) == 4


def test_without_targets(t5_words):
    tokens = tokens_of(t5_words, example(target=None, references=[]), with_targets=False)
    assert tokens.labels is None
    assert len(tokens) == 1


def test_more_examples_than_a_chunk(t5_words, monkeypatch):
    monkeypatch.setattr("hyperadapters.data.tasks.tokenising.CHUNK", 2)
    rows = [example("w1"), ask("w2"), example("w3"), ask("w4"), ask("w5")]
    tokens = tokens_of(t5_words, *rows)
    assert tokens.example.tolist() == [0, 1, 2, 3, 4]
    shown = [t5_words.convert_ids_to_tokens(ids)[-2] for ids in tokens.input_ids]
    assert shown == ["w1", "w2", "w3", "w4", "w5"]


def test_parts_that_are_only_scored_bear_the_index_of_their_task(t5_words):
    assert tokens_of(t5_words, example(), ask("w1", task="far")).task.tolist() == [0, 1]


def test_no_examples(t5_words):
    tokens = tokenise(
        frame_of(example()).iloc[:0],
        TASKS,
        INDEX,
        t5_words,
        max_source=9,
        max_target=9,
        with_targets=True,
    )
    assert len(tokens) == 0
    assert tokens.labels == []


# ---- windows ----


def test_a_short_context_is_one_row_as_the_tokenizer_makes_it(any_tokenizer):
    row = ask("w3 w4", ["w4"], [3])
    tokens = tokens_of(any_tokenizer, row, max_source=64)
    assert tokens.input_ids == [any_tokenizer(row["source"])["input_ids"]]


def test_an_empty_context_is_one_row(any_tokenizer):
    tokens = tokens_of(any_tokenizer, ask("", ["w1"]))
    assert len(tokens) == 1
    assert tokens.labels[0][:-1] == any_tokenizer("w1", add_special_tokens=False)["input_ids"]


def test_windows_of_whole_words(t5_words):
    """6 tokens of the question and one end leave 8 of 15 to the context; neighbours share 3."""
    context = " ".join(f"w{n}" for n in range(20, 40))
    row = ask(context, ["w27 w28", "w39"], [context.index("w27"), context.index("w39")])
    tokens = tokens_of(t5_words, row, max_source=15, stride=3)
    shown = [t5_words.convert_ids_to_tokens(ids) for ids in tokens.input_ids]
    head = ["question", ":", "w1", "w2", "context", ":"]
    spans = [(20, 28), (25, 33), (30, 38), (35, 40)]
    assert shown == [[*head, *(f"w{n}" for n in range(*span)), "</s>"] for span in spans]
    answers = [t5_words.convert_ids_to_tokens(ids) for ids in tokens.labels]
    assert answers == [["</s>"], ["w27", "w28", "</s>"], ["</s>"], ["w39", "</s>"]]
    assert tokens.example.tolist() == [0, 0, 0, 0]


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 299), max_size=60),
    st.integers(0, 30),
    st.integers(8, 80),
    st.integers(0, 20),
)
def test_windows_put_together_are_the_context(t5_words, words, n_question, max_source, stride):
    context = " ".join(f"w{n}" for n in words)
    question = " ".join(["w0"] * n_question)
    tokens = tokens_of(
        t5_words, ask(context, question=question), max_source=max_source, stride=stride
    )
    whole = t5_words(context, add_special_tokens=False)["input_ids"]
    mark = t5_words.convert_tokens_to_ids("context")
    seen: list[int] = []
    size = None
    for ids in tokens.input_ids:
        assert len(ids) <= max_source
        shown = ids[ids.index(mark) + 2 : -1]
        if size is not None:
            shared = overlap_of(size, stride)
            assert shown[:shared] == seen[-shared:] if shared else True
            shown = shown[shared:]
        seen += shown
        size = size or len(ids) - ids.index(mark) - 3
    assert seen == whole


@pytest.mark.parametrize("max_source", [40, 60, 100])
def test_windows_hold_together_whatever_the_tokenizer(any_tokenizer, max_source):
    context = "w10 w11, w12. " + " ".join(f"w{n}" for n in range(100, 130))
    start = context.index("w115")
    row = ask(context, ["w115"], [start], question="w1?")
    tokens = tokens_of(any_tokenizer, row, max_source=max_source, stride=10)
    assert all(len(ids) <= max_source for ids in tokens.input_ids)
    null = tokens_of(any_tokenizer, example(target="")).labels[0]
    want = any_tokenizer("w115", add_special_tokens=False)["input_ids"]
    asked = [ids != null for ids in tokens.labels]
    assert all(ids[:-1] == want for ids, is_in in zip(tokens.labels, asked, strict=True) if is_in)
    # Asked for exactly where all its letters are seen; a mark for the space before it may not be.
    assert asked == [_contains(ids, want[-4:]) for ids in tokens.input_ids]
    assert any(asked)


def _contains(ids, part):
    return any(ids[at : at + len(part)] == part for at in range(len(ids)))


def test_long_questions_are_cut_so_that_context_remains(t5_words):
    """The released code loops for ever here."""
    context = " ".join(f"w{n}" for n in range(100, 150))
    row = ask(context, question=" ".join(f"w{n}" for n in range(90)))
    tokens = tokens_of(t5_words, row, max_source=41, stride=10)
    # Of 40 tokens 15 (one and a half times the overlap) are the context's, and 21 the question's.
    shown = t5_words.convert_ids_to_tokens(tokens.input_ids[0])
    words = [f"w{n}" for n in range(21)]
    wanted = ["question", ":", *words, "context", ":", *(f"w{n}" for n in range(100, 115)), "</s>"]
    assert shown == wanted
    assert tokens.truncated["subjqa"] == {"sources": 0, "targets": 0, "questions": 1}


def test_a_long_question_is_kept_where_the_context_is_short(t5_words):
    row = ask("w100 w101", question=" ".join(f"w{n}" for n in range(30)))
    tokens = tokens_of(t5_words, row, max_source=37, stride=10)
    assert tokens.input_ids == [t5_words(row["source"])["input_ids"]]
    assert tokens.truncated["subjqa"]["questions"] == 0


def test_a_source_that_does_not_show_its_question_is_not_cut(t5_words):
    row = ask("w1 w2 w3", question="w5 " * 20) | {"question": "other words"}
    with pytest.raises(ConfigError, match="leaves no room for a context"):
        tokens_of(t5_words, row, max_source=20)


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 200), st.integers(16, 200), st.integers(0, 200))
def test_windows_always_end(t5_words, n_question, n_context, max_source, stride):
    question, context = (" ".join(["w0"] * n) for n in (n_question, n_context))
    tokens = tokens_of(
        t5_words, ask(context, question=question), max_source=max_source, stride=stride
    )
    assert 1 <= len(tokens) <= n_context + 1
    assert all(len(ids) <= max_source for ids in tokens.input_ids)


@pytest.mark.parametrize("name", ["t5_pieces", "bart_bytes"])
def test_questions_of_pieces_are_cut_too(request, name):
    tokenizer = request.getfixturevalue(name)
    row = ask("w5 w6 w7 " * 10, question="w1 w2 w3 " * 30)
    tokens = tokens_of(tokenizer, row, max_source=80, stride=10)
    assert all(len(ids) <= 80 for ids in tokens.input_ids)
    assert tokens.truncated["subjqa"]["questions"] == 1
    mark = tokenizer("context:", add_special_tokens=False)["input_ids"]
    assert all(_contains(ids, mark[-8:]) for ids in tokens.input_ids)


def test_an_answer_without_a_place(t5_words):
    context = " ".join(f"w{n}" for n in range(20, 40))
    options = {"max_source": 15, "stride": 3}
    found = tokens_of(t5_words, ask(context, ["w21 w22"]), **options)
    lost = tokens_of(t5_words, ask(context, ["w99"]), **options)
    alone = tokens_of(t5_words, ask("w20", ["w99"]), **options)
    assert [len(ids) for ids in found.labels] == [3, 1, 1, 1]
    assert [len(ids) for ids in lost.labels] == [1, 1, 1, 1]
    assert [len(ids) for ids in alone.labels] == [2]


def test_windows_without_an_answer_may_be_left_out(t5_words):
    context = " ".join(f"w{n}" for n in range(20, 40))
    rows = [ask(context, ["w22"], [6]), example(target=""), ask("w20"), ask("w20", ["w20"], [0])]
    options = {"max_source": 15, "stride": 3}
    assert tokens_of(t5_words, *rows, **options).example.tolist() == [0, 0, 0, 0, 1, 2, 3]
    few = tokens_of(t5_words, *rows, keep_nulls=False, **options)
    # The empty target of another kind of task stays.
    assert few.example.tolist() == [0, 1, 3]
    assert len(few.input_ids) == len(few.labels) == len(few.task) == 3


# ---- what is wrong is said ----


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_source": 1}, "max_source must be more than the 1 tokens that begin and end a text"),
        ({"max_target": 0}, "max_target must be at least 1, got 0"),
        ({"stride": -1}, "stride must be 0 or more, got -1"),
    ],
)
def test_lengths_that_cannot_be(t5_words, options, message):
    with pytest.raises(ConfigError, match=message):
        tokens_of(t5_words, example(), **options)


def test_no_room_for_a_context(t5_words):
    with pytest.raises(ConfigError) as caught:
        tokens_of(t5_words, ask("w1 w2"), max_source=5)
    assert str(caught.value) == (
        "max_source (5 tokens) leaves no room for a context: what stands around a question of task"
        " subjqa takes 4"
    )


def test_unknown_targets(t5_words):
    rows = [example(), example(target=None, references=[])]
    with pytest.raises(
        DataError, match=r"column 'target' is empty, but targets are wanted \(row 2"
    ):
        tokens_of(t5_words, *rows)


def test_an_unknown_task(t5_words):
    with pytest.raises(ConfigError, match=r"unknown task 'colla'; did you mean 'cola'\?"):
        tokens_of(t5_words, example(task="colla"))


def test_arrays_are_positions(t5_words):
    tokens = tokens_of(t5_words, example(), ask("w1"))
    assert tokens.example.dtype == tokens.task.dtype == np.int64
