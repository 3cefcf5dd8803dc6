"""Rows of one text share the layers below what differs between them, in every family."""

import pytest
import torch
from peft import get_peft_model

import families_zoo
from hyperadapters.backbones.lower import LowerLayers
from hyperadapters.errors import ConditionError
from hyperadapters.tuner.texts import shared_texts

TEXTS = torch.tensor([2, 0, 1, 0, 2, 2, 0])
IDS = torch.tensor([3, -1, 0, 3, 5, 2, 6])
# Their layers are not run one by one: they have none of their own.
WITHOUT_LAYERS = {"ALBERT"}
LAYERS = 3


def cases(zoo):
    heads = ("SEQ_CLS", "SEQ_2_SEQ_LM")
    families = zoo.FAMILIES.items()
    return [zoo.Case(n, h) for n, family in families for h in heads if h in family.heads]


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        found = cases(families_zoo)
        metafunc.parametrize("case", found, ids=[str(case) for case in found])


def deep(zoo, case, **changes):
    """A model of three layers."""
    if case.family in WITHOUT_LAYERS:
        changes = {}
    sizes = zoo.FAMILIES[case.family].sizes
    names = ("num_hidden_layers", "n_layers", "n_layer", "num_layers", "encoder_layers")
    depth = {name: LAYERS for name in names if name in sizes}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        adapted = get_peft_model(
            zoo.make_backbone(case, **depth), zoo.make_adapter_config(case, **changes)
        )
    zoo.randomise(adapted)
    return adapted.eval()


def rows_of_texts(zoo, case):
    batch = zoo.make_batch(case)
    return {
        # What is written differs from row to row; what is read is the text.
        name: value[TEXTS] if not name.startswith("decoder") else value.repeat(2, 1)[: len(TEXTS)]
        for name, value in batch.items()
    }


def counted(lower):
    """How many lines each layer is given."""
    seen = {}
    for number, layer in enumerate(lower.layers):

        def note(module, args, kwargs, number=number):
            states = args[0] if args else kwargs["hidden_states"]
            seen.setdefault(number, []).append(states.shape[0])

        layer.register_forward_pre_hook(note, with_kwargs=True)
    return seen


@pytest.mark.parametrize("training", [False, True])
def test_same_result_with_fewer_lines(zoo, case, training):
    model = deep(zoo, case, layers_to_transform=[1, 2])
    batch = rows_of_texts(zoo, case)
    model.train(training)
    with torch.set_grad_enabled(training):
        wanted = zoo.outputs(model, batch, annotator_ids=IDS)
        lower = LowerLayers.of(model.get_base_model())
        if case.family in WITHOUT_LAYERS:
            assert lower is None
        with shared_texts(model, TEXTS):
            seen = counted(lower) if lower is not None else {}
            got = zoo.outputs(model, batch, annotator_ids=IDS)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)
    if lower is not None:
        assert seen == {0: [3], 1: [7], 2: [7]}
        assert len(zoo.outputs(model, batch, annotator_ids=IDS)) == 7
        assert seen[0] == [3, 7]  # the block is over


def test_kept_states_take_the_place_of_layers(zoo, case):
    model = deep(zoo, case, layers_to_transform=[2])
    batch = rows_of_texts(zoo, case)
    lower = LowerLayers.of(model.get_base_model())
    if lower is None or not lower.can_be_skipped:
        assert case.family in (*WITHOUT_LAYERS, "T5", "T5 v1.1", "mT5")
        return
    texts = {name: value for name, value in zoo.make_batch(case).items() if "decoder" not in name}
    texts = {name: value[:3] for name, value in texts.items()}
    with torch.no_grad():
        wanted = zoo.outputs(model, batch, annotator_ids=IDS)
        states = lower.states(texts, 2)
        seen = counted(lower)
        with lower.once_per_text(TEXTS, 2, states=states, depth=2):
            got = zoo.outputs(model, batch, annotator_ids=IDS)
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)
        # One layer more, which is run on the texts.
        with lower.once_per_text(TEXTS, 2, states=lower.states(texts, 1), depth=1):
            got = zoo.outputs(model, batch, annotator_ids=IDS)
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)
    assert seen[2] == [7, 7] and seen[1][-1] == 3


@pytest.fixture
def bert(zoo):
    case = zoo.Case("BERT", "SEQ_CLS")
    return lambda **changes: deep(zoo, case, **changes)


@pytest.fixture
def batch(zoo):
    return rows_of_texts(zoo, zoo.Case("BERT", "SEQ_CLS"))


def lines(model, batch, text_of_row=TEXTS):
    lower = LowerLayers.of(model.get_base_model())
    with shared_texts(model, text_of_row), torch.no_grad():
        seen = counted(lower)
        model(**batch, annotator_ids=IDS)
    return [seen[number][0] for number in range(LAYERS)]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, [7, 7, 7]),
        ({"layers_to_transform": [1, 2]}, [3, 7, 7]),
        ({"layers_to_transform": [1, 2], "deviating_layers": [2]}, [3, 3, 7]),
        ({"source": "learned"}, [3, 3, 3]),
        ({"source": "per-condition", "layers_to_transform": 2}, [3, 3, 7]),
        ({"gains": True, "layers_to_transform": [1, 2], "deviating_layers": [2]}, [3, 7, 7]),
    ],
)
def test_how_far_up_texts_are_shared(zoo, bert, batch, changes, wanted):
    model = bert(**changes)
    assert lines(model, batch) == wanted
    with torch.no_grad():
        alone = model(**batch, annotator_ids=IDS).logits
        with shared_texts(model, TEXTS):
            together = model(**batch, annotator_ids=IDS).logits
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_the_rows(zoo, bert, batch):
    model = bert(layers_to_transform=[1, 2], deviating_layers=[2]).train()
    grads = []
    for shared in (False, True):
        model.zero_grad()
        if shared:
            with shared_texts(model, TEXTS):
                loss = model(**batch, annotator_ids=IDS).logits.square().sum()
        else:
            loss = model(**batch, annotator_ids=IDS).logits.square().sum()
        loss.backward()
        grads.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize(
    "text_of_row", [torch.arange(7), torch.tensor([6, 5, 4, 3, 2, 1, 0]), torch.zeros(7).long()]
)
def test_no_text_twice_or_one_for_all(bert, batch, text_of_row):
    model = bert(layers_to_transform=2)
    rows = {name: value[:1].repeat(7, 1) for name, value in batch.items()}
    rows = rows if text_of_row.max() == 0 else batch
    assert lines(model, rows, text_of_row) == [int(text_of_row.max()) + 1] * 2 + [7]
    with torch.no_grad():
        wanted = model(**rows, annotator_ids=IDS).logits
        with shared_texts(model, text_of_row):
            got = model(**rows, annotator_ids=IDS).logits
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated:FutureWarning")
def test_checkpointed_layers_are_run_on_rows(bert, batch):
    model = bert(layers_to_transform=2).train()
    model.gradient_checkpointing_enable()
    lower = LowerLayers.of(model.get_base_model())
    with shared_texts(model, TEXTS):
        seen = counted(lower)
        loss = model(**batch, annotator_ids=IDS).logits.sum()
    loss.backward()
    assert seen[0][0] == 7


def test_frozen_layers_drop_nothing_out(zoo, batch):
    case = zoo.Case("BERT", "SEQ_CLS")
    backbone = zoo.make_backbone(case, num_hidden_layers=LAYERS)
    model = get_peft_model(backbone, zoo.make_adapter_config(case, layers_to_transform=[2]))
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.5
    model.train()
    lower = LowerLayers.of(backbone)
    seen = []
    lower.layers[1].register_forward_hook(lambda *given: seen.append(given[-1]))
    modes = {part: part.training for part in model.modules()}
    for _ in range(2):
        with shared_texts(model, TEXTS):
            model(**batch, annotator_ids=IDS)
    assert torch.equal(*seen)
    assert {part: part.training for part in model.modules()} == modes


def test_an_error_inside_leaves_nothing_behind(bert, batch):
    model = bert(layers_to_transform=2)
    lower = LowerLayers.of(model.get_base_model())
    states = torch.zeros(3, 9, 32)
    once = lower.once_per_text(TEXTS, 1, states=states, depth=1)
    with pytest.raises(ZeroDivisionError), shared_texts(model, TEXTS), once:
        1 / 0  # noqa: B018
    assert all("forward" not in layer.__dict__ for layer in lower.layers)
    assert not any(layer._forward_pre_hooks or layer._forward_hooks for layer in lower.layers)


@pytest.mark.parametrize(
    "wrong",
    [
        torch.tensor([0.0, 1.0]),
        torch.tensor([[0, 1]]),
        torch.tensor([0, 2]),
        torch.tensor([-1, 0]),
        torch.tensor([], dtype=torch.long),
    ],
)
def test_numbers_that_are_not_those_of_texts(bert, wrong):
    with pytest.raises(ConditionError, match="text_of_row"), shared_texts(bert(), wrong):
        pass


def test_a_model_without_adapter(zoo):
    backbone = zoo.make_backbone(zoo.Case("BERT", "SEQ_CLS"))
    with pytest.raises(ConditionError, match="no hyperadapter"), shared_texts(backbone, TEXTS):
        pass
