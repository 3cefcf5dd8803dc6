from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from hyperadapters.data.tasks import tokenise
from hyperadapters.errors import ConfigError
from hyperadapters.inference.tasks import write_answers
from hyperadapters.inference.tasks.write import mean_nll, own_tokens
from hyperadapters.methods.recipes import TaskModel, find_recipe
from hyperadapters.tasks import Generation, Task

LABELS = {"0": "bad", "1": "good"}


def make_task(name, **changes):
    fields = {"kind": "text", "metrics": ("rouge1",), "generation": Generation(max_new_tokens=5)}
    return Task(name=name, **{"source": "{text}", "target": "label", **fields, **changes})


TASKS = {
    "free": make_task("free"),
    "long": make_task("long", generation=Generation(max_new_tokens=7, min_new_tokens=4)),
    "beams": make_task("beams", generation=Generation(num_beams=3, max_new_tokens=5)),
    "tone": make_task(
        "tone",
        kind="classification",
        labels=LABELS,
        metrics=("accuracy",),
        generation=Generation(),
    ),
}


def make_examples(toy, n=24):
    draw = np.random.default_rng(0)
    rows = []
    for number in range(n):
        task = list(TASKS)[number % len(TASKS)]
        words = draw.choice(toy.WORDS, 1 + number % 7)
        rows.append((f"x{number}", task, f"{task} {' '.join(words)}", None, None, "test"))
    names = ["text_id", "task", "source", "target", "references", "split"]
    return pd.DataFrame(rows, columns=names).assign(question=None, context=None, starts=None)


class Writer:
    """Lets a tiny model of random weights answer."""

    def __init__(self, backbone, toy, recipe, **changes):
        settings = find_recipe(recipe).settings.changed({**toy.QUICK, **changes})
        self.model = TaskModel.build(recipe, settings, backbone, list(TASKS), 0)
        self.examples = make_examples(toy)
        with torch.no_grad():
            # Random enough for answers to differ, and for rows to be adapted differently.
            generator = torch.Generator().manual_seed(3)
            for parameter in self.model.model.parameters():
                if parameter.ndim > 1:
                    parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
        self.model.model.eval()

    def tokens(self, examples):
        index = {name: number for number, name in enumerate(TASKS)}
        return tokenise(
            examples.reset_index(drop=True),
            TASKS,
            index,
            self.model.tokenizer,
            max_source=24,
            max_target=8,
            with_targets=False,
        )

    def __call__(self, rows=None, **keywords):
        examples = self.examples if rows is None else self.examples.iloc[rows]
        examples = examples.reset_index(drop=True)
        return write_answers(self.model, self.tokens(examples), examples, TASKS, **keywords)


@pytest.fixture(
    scope="module",
    params=[
        *[("tiny_t5", name) for name in ("hyperdecoder", "hyperformer", "full-finetuning")],
        *[("tiny_bert2bert", name) for name in ("hyperdecoder", "hyperencoder")],
    ],
    ids="-".join,
)
def writer(request, toy):
    name, recipe = request.param
    return Writer(request.getfixturevalue(name), toy, recipe)


def test_a_row_for_every_row_in_their_order(writer):
    table = writer(seed=4)
    assert table["text_id"].tolist() == writer.examples["text_id"].tolist()
    assert table["task"].tolist() == writer.examples["task"].tolist()
    assert set(table["method"]) == {writer.model.recipe} and set(table["seed"]) == {4}
    assert set(table["source"]) == {"known"} and set(table["split"]) == {"test"}
    assert table["label"].isna().all() and not any(table["references"])  # nothing was known
    assert table["nll"].notna().all() and (table["nll"] > 0).all()
    special = set(writer.model.tokenizer.all_special_tokens)
    assert not any(set(text.split()) & special for text in table["predicted"])
    assert table["predicted"].nunique() > 3


def test_nothing_depends_on_the_other_rows(writer):
    together = writer()
    for row in range(len(together)):
        alone = writer([row])
        assert alone["predicted"][0] == together["predicted"][row]
        assert alone["nll"][0] == pytest.approx(together["nll"][row], rel=1e-4)
    few = writer([5, 2, 17, 8])
    assert few["predicted"].tolist() == together["predicted"].iloc[[5, 2, 17, 8]].tolist()
    np.testing.assert_allclose(few["nll"], together["nll"].iloc[[5, 2, 17, 8]], rtol=1e-4)


def written_ids(writer, text):
    return writer.model.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_nll_is_that_of_the_answer_read_again(writer):
    """Beams and greedy: the answer as labels of the model, no padding, no other rows."""
    model = writer.model.model
    end = writer.model.tokenizer.eos_token_id or writer.model.tokenizer.sep_token_id
    table = writer()
    tokens = writer.tokens(writer.examples)
    inner = model.get_base_model() if writer.model.is_adapted else model
    start = inner.config.decoder_start_token_id
    compared = 0
    for row, text in enumerate(table["predicted"]):
        wanted = written_ids(writer, text)
        longest = {"free": 5, "long": 7, "beams": 5, "tone": 2}[table["task"][row]]
        wanted += [end] if len(wanted) < longest else []
        batch = tokens.batch([row])
        conditions = writer.model.conditions(torch.from_numpy(tokens.task[[row]]))
        with torch.no_grad():
            logits = model(
                **batch, decoder_input_ids=torch.tensor([[start, *wanted[:-1]]]), **conditions
            ).logits
        nll = torch.nn.functional.cross_entropy(logits[0], torch.tensor(wanted))
        # Special tokens in the middle of an answer are not to be seen in its text.
        if float(nll) == pytest.approx(table["nll"][row], rel=1e-3):
            compared += 1
    assert compared >= 0.7 * len(table)


def test_answers_are_as_long_as_their_task_says(writer):
    table = writer().assign(n=lambda t: [len(written_ids(writer, x)) for x in t["predicted"]])
    longest = table.groupby("task")["n"].max()
    assert longest["free"] <= 5 and longest["beams"] <= 5 and longest["long"] <= 7
    assert longest["tone"] <= 2  # the longest label word and the end


def test_an_empty_answer_may_be_given(tiny_t5, toy, monkeypatch):
    """No minimum is asked for but the declared one."""
    writer = Writer(tiny_t5, toy, "single-adapter")
    asked = []
    generate = writer.model.model.generate

    def watched(**keywords):
        config = keywords["generation_config"]
        asked.append((config.min_new_tokens, config.max_new_tokens, config.num_beams))
        return generate(**keywords)

    monkeypatch.setattr(writer.model.model, "generate", watched)
    # The end is the likeliest word everywhere.
    head = writer.model.model.get_base_model().lm_head
    monkeypatch.setattr(head, "forward", lambda x: _only(x, head.weight.shape[0], 1))
    table = writer()
    assert set(asked) == {(0, 5, 1), (4, 7, 1), (0, 5, 3), (0, 2, 1)}
    assert (table.loc[table["task"] != "long", "predicted"] == "").all()
    # Its end is forbidden at first; of the others all are equally likely, the first is padding.
    assert (table.loc[table["task"] != "long", "nll"] < 0.1).all()


def _only(states, n_words, word):
    logits = torch.zeros(*states.shape[:-1], n_words)
    logits[..., word] = 20.0
    return logits


def test_the_backbones_own_wishes_are_not_heard(tiny_t5, toy):
    """Checkpoints for summaries come with lengths and bans that label words do not survive."""
    plain = Writer(tiny_t5, toy, "single-adapter")()
    writer = Writer(tiny_t5, toy, "single-adapter")
    wishes = writer.model.model.get_base_model().generation_config
    wishes.min_length, wishes.max_length, wishes.num_beams = 3, 30, 4
    wishes.no_repeat_ngram_size, wishes.repetition_penalty = 1, 9.0
    pd.testing.assert_frame_equal(writer(), plain)


def test_a_mode_is_put_back_and_progress_is_told(writer):
    told = []
    for training in (True, False):
        writer.model.model.train(training)
        writer(told=lambda done, total: told.append((done, total)))
        assert writer.model.model.training is training
    assert (
        told[-1] == (24, 24)
        and [done for done, _ in told] == sorted(done for done, _ in told[: len(told) // 2]) * 2
    )
    assert {total for _, total in told} == {24}


def test_label_words_come_back_as_declared(tiny_t5, toy, monkeypatch):
    writer = Writer(tiny_t5, toy, "single-adapter")
    tone = TASKS["tone"].changed(labels={"0": "Bad", "1": "GOOD"})
    monkeypatch.setitem(TASKS, "tone", tone)
    good = writer.model.tokenizer.convert_tokens_to_ids("good")
    head = writer.model.model.get_base_model().lm_head
    monkeypatch.setattr(head, "forward", lambda x: _only(x, head.weight.shape[0], good))
    monkeypatch.setattr("hyperadapters.inference.tasks.words.Spelling.max_new_tokens", _one)
    table = writer()
    assert set(table.loc[table["task"] == "tone", "predicted"]) == {"GOOD"}
    assert set(table.loc[table["task"] == "free", "predicted"]) == {"good"}


def _one(spelling, max_target):
    return max(1, spelling.task.generation.min_new_tokens)


def test_unwritable_words_are_refused(tiny_t5, toy, monkeypatch):
    writer = Writer(tiny_t5, toy, "single-adapter")
    monkeypatch.setitem(TASKS, "tone", TASKS["tone"].changed(labels={"0": "x", "1": "good"}))
    with pytest.raises(ConfigError, match="cannot write the label word 'x'"):
        writer()


def test_targets_are_not_looked_at(tiny_t5, toy):
    writer = Writer(tiny_t5, toy, "single-adapter")
    tokens = writer.tokens(writer.examples)
    known = writer.examples.assign(target="good", references=[["good"]] * len(writer.examples))
    labelled = replace(tokens, labels=[[5, 6, 1]] * len(tokens))
    table = write_answers(writer.model, labelled, known, TASKS)
    assert table["predicted"].equals(writer()["predicted"])
    assert set(table["label"]) == {"good"} and table["references"].tolist() == [["good"]] * 24


def test_own_tokens_end_with_the_first_end():
    written = torch.tensor([[5, 6, 1, 0], [1, 0, 0, 0], [5, 6, 7, 8], [5, 1, 6, 1], [0, 1, 0, 0]])
    own = own_tokens(written, 1).int().tolist()
    assert own == [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]]


def test_mean_nll_is_over_own_tokens():
    logits = torch.tensor([[[0.0, 1.0], [2.0, 0.0], [float("inf"), 0.0]]])
    written, own = torch.tensor([[1, 0, 1]]), torch.tensor([[True, True, False]])
    softplus = torch.nn.functional.softplus(torch.tensor([-1.0, -2.0]))
    found = mean_nll(logits, written, own)
    assert float(found) == pytest.approx(float(softplus.mean()))


def test_bfloat16(tiny_t5, toy):
    table = Writer(tiny_t5, toy, "hyperdecoder", precision="bfloat16")()
    assert table["nll"].notna().all()
