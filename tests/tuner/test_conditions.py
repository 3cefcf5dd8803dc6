"""Conditions of every kind, from the call to the logits."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from peft import PeftModel

import hyperadapters as ha
from hyperadapters.errors import ConditionError

PEOPLE = ha.Attributes({"age": ["young", "old"], "country": 5, "gender": ["f", "m", "x"]})
ROWS = [
    {"age": "old", "country": "PT", "gender": "f"},
    {"age": "young"},
    {},
    {"gender": "x", "age": None, "country": "BR"},
    {"age": "old", "country": "PT", "gender": "f"},
    {"age": "ancient", "gender": "m"},
]
GENERATOR = torch.Generator().manual_seed(3)
VECTORS = torch.randn(6, 5, generator=GENERATOR)
IDS = torch.tensor([2, -1, 0, 2, 6, -1])
TASKS = torch.tensor([0, 1, 2, 2, -1, 1])
MIXED = torch.softmax(torch.randn(6, 7, generator=GENERATOR), dim=1)
KINDS = {
    "attributes": ({"who": PEOPLE}, {"who": ROWS}),
    "attributes by index": ({"who": PEOPLE}, {"who": torch.from_numpy(PEOPLE.indices(ROWS))}),
    "a vector": ({"who": ha.Vector(5)}, {"who": VECTORS}),
    "a mixture per row": ({"who": ha.Lookup(7)}, {"who": MIXED}),
    "a lookup and a vector": (
        {"who": ha.Lookup(7), "task": ha.Vector(5)},
        {"who": IDS, "task": VECTORS},
    ),
    "attributes and the input": ({"who": PEOPLE, "text": ha.Instance()}, {"who": ROWS}),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def of_row(given, row):
    return {name: value[row] for name, value in given.items()}


def same(got, wanted, tolerance=1e-5):
    torch.testing.assert_close(got, wanted, atol=tolerance, rtol=tolerance)


@kinds
@torch.no_grad()
def test_a_mixed_batch_is_one_by_one(adapted, texts, kind):
    conditions, given = KINDS[kind]
    model, batch = adapted(conditions=conditions).double(), texts()
    together = model(**batch, **given).logits
    for row in range(6):
        alone = {name: value[row : row + 1] for name, value in batch.items()}
        single = of_row(given, row)
        if kind == "a mixture per row":
            single["who"] = single["who"].unsqueeze(0)
        same(model(**alone, **single).logits[0], together[row], 1e-6)
    moved = {name: [*value[1:], value[0]] for name, value in given.items()}
    moved = {n: torch.stack(v) if isinstance(v[0], torch.Tensor) else v for n, v in moved.items()}
    assert ((model(**batch, **moved).logits - together).abs().amax(dim=1) > 1e-3).sum() >= 4


@kinds
@torch.no_grad()
def test_what_is_loaded_answers_the_same(adapted, backbone, texts, tmp_path, kind):
    conditions, given = KINDS[kind]
    model = adapted(conditions=conditions)
    wanted = model(**texts(), **given).logits
    model.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(backbone(), str(tmp_path))
    assert torch.equal(loaded(**texts(), **given).logits, wanted)
    assert loaded.peft_config["default"].declared == conditions


@pytest.mark.parametrize("combine", ["concat", "sum", "gate"])
@torch.no_grad()
def test_two_conditions_combined(adapted, backbone, texts, tmp_path, combine):
    conditions = {"who": ha.Lookup(7), "task": ha.Lookup(3), "style": ha.Vector(5)}
    model = adapted(conditions=conditions, combine=combine).double()
    given = {"who": IDS, "task": TASKS, "style": VECTORS.double()}
    together = model(**texts(), **given).logits
    for row in range(6):
        alone = {name: value[row : row + 1] for name, value in texts().items()}
        same(model(**alone, **of_row(given, row)).logits[0], together[row], 1e-6)
    for name in given:
        assert not torch.allclose(
            model(**texts(), **{**given, name: given[name].flip(0)}).logits, together
        )
    model.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(backbone().double(), str(tmp_path)).double()
    same(loaded(**texts(), **given).logits, together)


POLICIES = {
    "lookup": (lambda unknown: ha.Lookup(7, unknown=unknown), [2, -1, 0, 5], "got -1"),
    "attributes": (
        lambda unknown: ha.Attributes({"age": ["young", "old"]}, unknown=unknown),
        [{"age": "old"}, {}, {"age": "young"}, {"age": "old"}],
        "row 1: no value of age, which this model refuses",
    ),
    "vector": (
        lambda unknown: ha.Vector(3, unknown=unknown),
        [[1.0, 2.0, 3.0], [float("nan")] * 3, [0.0, 0.0, 1.0], [3.0, 2.0, 1.0]],
        "row 1: all NaN",
    ),
}
policies = pytest.mark.parametrize("kind", POLICIES)


@policies
def test_a_model_that_refuses_what_is_unknown(adapted, texts, kind):
    declared, given, message = POLICIES[kind]
    with pytest.raises(ConditionError, match=f"who: .*{message}"):
        adapted(conditions={"who": declared("error")})(**texts(4), who=given)


@policies
@pytest.mark.parametrize("form", ["lora", "bottleneck"])
@torch.no_grad()
def test_unknown_rows_of_the_backbone_alone(adapted, texts, kind, form):
    declared, given, _ = POLICIES[kind]
    model = adapted(conditions={"who": declared("base")}, form=form, width=4)
    inner, batch = model.get_base_model(), texts(4)
    trained = inner.classifier.modules_to_save["default"]
    with model.disable_adapter():
        features = inner.bert(**batch).pooler_output
    mixed = model(**batch, who=given).logits
    same(mixed[1], trained(features[1]), 1e-6)
    assert (mixed - trained(features)).abs().amax(dim=1)[[0, 2, 3]].min() > 1e-2
    for row in (0, 2, 3):
        alone = {name: value[row : row + 1] for name, value in batch.items()}
        same(model(**alone, who=given[row]).logits[0], mixed[row])


@policies
@torch.no_grad()
def test_unknown_rows_of_the_population(adapted, texts, kind):
    declared, given, _ = POLICIES[kind]
    model = adapted(conditions={"who": declared("population")})
    with ha.adapter_network(model).sources[0].source.deviating(False):
        shared = model(**texts(4), who=[given[1]] * 4).logits
    mixed = model(**texts(4), who=given).logits
    same(mixed[1], shared[1])
    assert (mixed - shared).abs().amax(dim=1)[[0, 2, 3]].min() > 1e-3


@torch.no_grad()
def test_one_unknown_condition_of_two_is_enough_for_the_backbone_alone(adapted, texts):
    model = adapted(
        conditions={"who": ha.Lookup(7, unknown="base"), "task": ha.Lookup(3, unknown="base")}
    )
    wanted = model(**texts(3), who=-1, task=-1).logits
    mixed = model(**texts(3), who=[-1, 2, 2], task=[1, -1, 1]).logits
    same(mixed[:2], wanted[:2])
    assert not torch.allclose(mixed[2], wanted[2], atol=1e-3)


@torch.no_grad()
def test_one_value_for_all_beside_one_per_row(adapted, texts):
    model = adapted(conditions={"who": ha.Lookup(7), "task": ha.Lookup(3), "style": PEOPLE})
    wanted = model(**texts(), who=IDS, task=[1] * 6, style=[ROWS[0]] * 6).logits
    same(model(**texts(), who=IDS, task=1, style=ROWS[0]).logits, wanted)
    with pytest.raises(ConditionError, match="conditions differ in length"):
        model(**texts(), who=IDS, task=[1, 2], style=ROWS[0])


@torch.no_grad()
def test_values_of_any_kind(adapted, texts):
    model = adapted(conditions={"who": PEOPLE})
    wanted = model(**texts(), who=ROWS).logits
    index = PEOPLE.indices(ROWS)
    for equal in (pd.DataFrame(ROWS), tuple(ROWS), index, index.tolist(), torch.tensor(index)):
        assert torch.equal(model(**texts(), who=equal).logits, wanted)
    model = adapted(conditions={"who": ha.Vector(5)})
    wanted = model(**texts(), who=VECTORS).logits
    for equal in (VECTORS.numpy(), VECTORS.tolist(), VECTORS.double()):
        assert torch.equal(model(**texts(), who=equal).logits, wanted)


@torch.no_grad()
def test_a_batch_as_a_trainer_makes_it(adapted, texts):
    model = adapted(conditions={"who": PEOPLE})
    batch = {**texts(), "who": torch.from_numpy(PEOPLE.indices(ROWS)), "labels": IDS % 3}
    output = model(**batch)
    assert torch.equal(output.logits, model(**texts(), who=ROWS).logits)
    assert output.loss.isfinite()


@pytest.mark.parametrize(
    ("condition", "value", "message"),
    [
        (PEOPLE, [{"age": "old"}] * 5, "who: got 5 values for a batch of 6 rows"),
        (PEOPLE, {"aeg": "old"}, r"who: row 0: unknown attribute 'aeg' \(did you mean 'age'\?\)"),
        (PEOPLE, torch.zeros(6, 2, dtype=torch.long), r"who: got shape \(6, 2\), wanted \(3,\)"),
        (PEOPLE, torch.full((6, 3), 2), "who: attribute 'age' got index 2; wanted 0 to 1"),
        (PEOPLE, torch.zeros(6, 3), "who: got torch.float32, wanted integers, or a mapping of age"),
        (ha.Vector(5), torch.zeros(6, 4), r"who: got shape \(6, 4\), wanted \(5,\)"),
        (ha.Vector(5), torch.zeros(6, 5).long(), "who: got torch.int64, wanted floats"),
        (ha.Vector(5), torch.zeros(5, 5), "who: got 5 values for a batch of 6 rows"),
        (ha.Vector(5), torch.full((6, 5), torch.inf), "who: rows 0, 1, 2, 3, 4 and 1 more: NaN or"),
        (ha.Vector(5), np.array(["a"] * 5), "who: "),
        (ha.Lookup(7), {}, "who: a mixture needs at least one weight"),
        (ha.Lookup(7), {7: 1.0}, "who: mixture: got index 7; wanted 0 to 6"),
        (ha.Lookup(7), {1: float("nan")}, "who: mixture: got weight nan for index 1"),
        (ha.Lookup(7), torch.zeros(6, 6), r"who: got shape \(6, 6\), wanted mixtures"),
        (ha.Lookup(7), torch.full((6, 7), torch.nan), "who: rows 0, 1, 2, 3, 4 and 1 more: "),
        (ha.Lookup(7), "3", "who: "),
    ],
)
def test_values_that_do_not_fit(adapted, texts, condition, value, message):
    with pytest.raises(ConditionError, match=message):
        adapted(conditions={"who": condition})(**texts(), who=value)


@torch.no_grad()
def test_mixtures(adapted, texts):
    model = adapted()
    third, fifth = (model(**texts(), annotator_ids=i).logits for i in (3, 5))
    halves = model(**texts(), annotator_ids={3: 0.5, 5: 0.5}).logits
    for other in (third, fifth):
        assert (halves - other).abs().amax(dim=1).min() > 1e-3
    per_row = torch.zeros(6, 7)
    per_row[:, [3, 5]] = 0.5
    per_row[4] = torch.eye(7)[3]
    mixed = model(**texts(), annotator_ids=per_row).logits
    same(mixed[:4], halves[:4])
    same(mixed[4], third[4])
    with ha.conditioned(model, annotator_ids={3: 0.5, 5: 0.5}):
        same(model(**texts()).logits, halves)


@torch.no_grad()
def test_a_mixture_of_one_is_that_one_and_of_none_is_nobody(adapted, texts):
    model = adapted()
    for index in range(7):
        wanted = model(**texts(), annotator_ids=index).logits
        same(model(**texts(), annotator_ids={index: 1.0}).logits, wanted)
        same(model(**texts(), annotator_ids=torch.eye(7)[[index] * 6]).logits, wanted)
    nobody = model(**texts(), annotator_ids=-1).logits
    same(model(**texts(), annotator_ids={0: 0.0}).logits, nobody)
    average = model(**texts(), annotator_ids=dict.fromkeys(range(7), 1 / 7)).logits
    assert not torch.allclose(average, nobody, atol=1e-3)


@torch.no_grad()
def test_the_way_from_one_to_another_is_continuous(adapted, texts):
    model = adapted()
    path = [
        model(**texts(1), annotator_ids={3: 1 - t, 5: t}).logits for t in np.linspace(0, 1, 401)
    ]
    steps = [(after - before).norm() for before, after in itertools.pairwise(path)]
    assert 0 < max(steps) < 0.1 * sum(steps)


@pytest.mark.parametrize("unknown", ["population", "base"])
def test_a_batch_of_unknown_rows_alone_trains_without_nan(adapted, texts, unknown):
    model = adapted(conditions={"who": ha.Vector(5, unknown=unknown)}).train()
    model(**texts(), who=torch.full((6, 5), torch.nan), labels=IDS % 3).loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
