"""Controls: what rows are adapted to, where it is not their own input."""

import pytest
import torch

from hyperadapters.errors import ConfigError
from hyperadapters.methods.recipes import TaskModel
from hyperadapters.methods.recipes.controls import Control
from hyperadapters.tuner import adapter_network
from hyperadapters.tuner.conditioning import conditioning_of

TASKS = torch.tensor([2, 0, 1, 0])
RECIPES_WITH_INPUT = ["hyperdecoder", "hyperdecoder-lora", "hyperencoder"]
NAMES = {"hyperdecoder": "encoded", "hyperdecoder-lora": "encoded", "hyperencoder": "read_first"}
WRITING = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False}


def vectors(made, name):
    seen = []
    adapter_network(made.model).register_forward_pre_hook(
        lambda _, args: seen.append(args[0][name].detach()) if name in args[0] else None
    )
    return seen


@pytest.fixture
def make(build, randomise):
    def maker(recipe="hyperdecoder", backbone="tiny-t5", **changes):
        sizes = {"encoder_width": 4, "decoder_width": 4, **changes}
        made = build(recipe, backbone, **sizes)
        randomise(made.model)
        made.model.eval()
        return made

    return maker


@pytest.fixture
def texts(batch):
    return {name: value for name, value in batch.items() if not name.startswith("decoder")}


def training_batches(batch, count=3):
    generator = torch.Generator().manual_seed(5)
    for _ in range(count):
        ids = torch.randint(5, 60, (7, 9), generator=generator)
        words = torch.randint(5, 60, (7, 4), generator=generator)
        yield {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "decoder_input_ids": words,
        }


@pytest.mark.parametrize("recipe", RECIPES_WITH_INPUT)
@torch.no_grad()
def test_constant(make, randomise, batch, texts, recipe):
    made, own = make(recipe, conditioning="constant"), make(recipe)
    made.read_before_training(training_batches(batch))
    own.model.load_state_dict(made.model.state_dict())
    seen = vectors(made, NAMES[recipe])
    for training in (True, False):
        made.model.train(training)
        made.model(**batch)
        assert (seen[-1] == made.control.banks[NAMES[recipe]][0]).all() and seen[-1].std() > 0.1
    made.model.generate(**texts, num_beams=2, **WRITING)
    assert (seen[-1] == seen[-2][0]).all()
    got, wanted = made.model(**batch).logits, own.model(**batch).logits
    assert not torch.allclose(got, wanted)
    # As if that vector had been passed.
    given = {NAMES[recipe]: seen[-1][0]}
    torch.testing.assert_close(own.model(**batch, **given).logits, got, atol=1e-3, rtol=1e-3)
    # Training goes on, and the vector stays.
    randomise(made.model)
    made.renew_control(training_batches(batch))
    made.model(**batch)
    assert torch.equal(seen[-1][0], seen[-2][0])


@pytest.mark.parametrize("recipe", RECIPES_WITH_INPUT)
@torch.no_grad()
def test_shuffled_in_training(make, batch, recipe):
    made, own = make(recipe, conditioning="shuffled"), make(recipe)
    own.model.load_state_dict(made.model.state_dict())
    made.model.train(), own.model.train()
    theirs, mine = vectors(made, NAMES[recipe]), vectors(own, NAMES[recipe])
    made.model(**batch), own.model(**batch)
    assert torch.equal(theirs[-1], mine[-1].roll(1, dims=0))
    made.renew_control(training_batches(batch))
    made.model(**batch)
    assert torch.equal(theirs[-1], mine[-1].roll(1, dims=0))


def test_a_shuffled_row_by_itself_is_not_adapted_to_its_own_input(make, batch):
    made = make(conditioning="shuffled")
    one = {name: value[:1] for name, value in batch.items()}
    make_own = make()
    own = vectors(make_own, "encoded")
    make_own.model(**one)
    seen = vectors(made, "encoded")
    made.renew_control(training_batches(batch))
    for training in (True, False):
        made.model.train(training)
        made.model(**one)
        assert not torch.allclose(seen[-1], own[-1])


@pytest.mark.parametrize("recipe", RECIPES_WITH_INPUT)
@torch.no_grad()
def test_shuffled_at_evaluation(zoo, make, batch, texts, recipe):
    made = make(recipe, conditioning="shuffled")
    seen = vectors(made, NAMES[recipe])
    made.renew_control(training_batches(batch))
    assert not made.model.training
    bank = made.control.banks[NAMES[recipe]]
    assert bank.shape == (21, 32)
    together = made.model(**batch).logits
    drawn = seen[-1]
    assert all((bank == vector).all(dim=1).any() for vector in drawn)
    for row in range(4):
        alone = made.model(**zoo.row_of(batch, row)).logits[0]
        assert torch.equal(seen[-1][0], drawn[row])
        torch.testing.assert_close(alone, together[row], atol=1e-3, rtol=1e-3)
    made.model.generate(**texts, num_beams=2, **WRITING)
    assert torch.equal(seen[-1], drawn)


@torch.no_grad()
def test_draws_of_many_rows_differ_and_do_not_hang_on_rounding():
    model = torch.nn.Linear(1, 1).eval()
    control = Control("shuffled", model)
    pooled = 0.3 * torch.randn(300, 32) + torch.randn(32)
    noisy = pooled + 1e-6 * torch.randn(300, 32)
    fill(control, torch.randn(64, 32) * 0.3 + pooled.mean(dim=0))
    drawn = control_of(control, pooled)
    assert len(drawn.unique(dim=0)) > 20
    assert (drawn != control_of(control, noisy)).any(dim=1).sum() <= 2


def fill(control, bank):
    control.banks = {"encoded": bank}


def control_of(control, pooled):
    return control("encoded", pooled)


@pytest.mark.parametrize("kind", ["shuffled", "constant"])
@torch.no_grad()
def test_also_where_the_output_of_the_encoder_is_handed_over(make, batch, texts, kind):
    made = make(conditioning=kind)
    made.renew_control(training_batches(batch))
    wanted = made.model(**batch)
    given = {n: v for n, v in batch.items() if n != "input_ids"}
    states = wanted.encoder_last_hidden_state
    got = made.model(encoder_outputs=(states,), **given).logits
    torch.testing.assert_close(got, wanted.logits, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_both_stacks_have_vectors_of_their_own(make, batch):
    made = make(conditioning="shuffled", encoder="instance-generated")
    seen = {name: vectors(made, name) for name in ("read_first", "encoded")}
    batches = list(training_batches(batch))
    made.model.eval()
    own = make(encoder="instance-generated")
    own.model.load_state_dict(made.model.state_dict())
    mine = {name: vectors(own, name) for name in seen}
    for one in batches:
        own.model(**one)
    made.renew_control(batches)
    made.model(**batch)
    for name in seen:
        known = torch.cat([v for v in mine[name]])
        for vector in seen[name][-1]:
            assert torch.isclose(known, vector, atol=1e-4).all(dim=1).any(), name


@pytest.mark.parametrize("kind", ["shuffled", "constant", "own"])
@torch.no_grad()
def test_saved_and_loaded(make, batch, tmp_path, kind):
    made = make(conditioning=kind)
    made.renew_control(training_batches(batch))
    made.save(tmp_path)
    assert (tmp_path / "control.safetensors").exists() == (kind == "shuffled")
    loaded = TaskModel.load(tmp_path, "hyperdecoder", made.settings, "tiny-t5", made.task_names)
    assert torch.equal(loaded.model(**batch).logits, made.model(**batch).logits)


@torch.no_grad()
def test_own_replaces_nothing(make, batch):
    made = make()
    wanted = made.model(**batch).logits
    conditioning_of(made.model).control = None
    assert torch.equal(made.model(**batch).logits, wanted)


def test_training_mode_comes_back(make, batch):
    made = make(conditioning="shuffled")
    for training in (True, False):
        made.model.train(training)
        made.renew_control(training_batches(batch))
        assert made.model.training == training
    with pytest.raises(ZeroDivisionError):
        made.renew_control(1 / 0 for _ in range(2))
    assert conditioning_of(made.model).control is made.control


@pytest.mark.parametrize("recipe", ["single-adapter", "hyperformer", "adapter-per-task"])
def test_recipes_that_do_not_read_the_input_have_no_control(make, recipe):
    with pytest.raises(ConfigError, match="conditioning=shuffled is a control of adapters that"):
        make(recipe, conditioning="shuffled")
