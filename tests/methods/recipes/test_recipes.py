"""Every recipe is built, trained, saved and loaded; and has as many parameters as it says."""

from functools import cache

import pytest
import torch
from peft import PeftModel, get_peft_model

from hyperadapters.adapters import Bottleneck, LoRA
from hyperadapters.backbones import Seq2SeqBackbone, load_seq2seq
from hyperadapters.errors import ConfigError, RunError
from hyperadapters.methods.recipes import (
    DEFAULT_RECIPE,
    RECIPES,
    TaskModel,
    TaskSettings,
    build_config,
    find_recipe,
)
from hyperadapters.tuner import adapter_network, register
from pairwise import one_by_one, pairwise

BACKBONES = ["tiny-t5", "tiny-bart", "tiny-bert2bert"]
ADAPTED = [name for name in RECIPES if name != "full-finetuning"]
MATCHED = [
    name
    for name in ADAPTED
    if 0 in (RECIPES[name].settings.encoder_width, RECIPES[name].settings.decoder_width)
]
TASKS = torch.tensor([2, 0, 1, 0])
MODES = ["none", "learned", "per-task", "task-generated", "instance-generated"]


def logits(made, batch):
    with torch.no_grad():
        return made.model(**batch, **made.conditions(TASKS)).logits


def trained(made):
    return {n: p for n, p in made.model.named_parameters() if p.requires_grad}


def step(made, batch, rate=0.1):
    """One step; the names of what got a gradient, and of what moved."""
    made.model.train()
    before = {n: p.detach().clone() for n, p in made.model.named_parameters()}
    labels = batch["decoder_input_ids"]
    output = made.model(**{**batch, **made.conditions(TASKS)})
    torch.nn.functional.cross_entropy(output.logits.flatten(0, 1), labels.flatten()).backward()
    torch.optim.SGD(trained(made).values(), lr=rate).step()
    made.model.eval()
    return {n for n, p in made.model.named_parameters() if not torch.equal(p.detach(), before[n])}


@one_by_one(recipe=[*RECIPES], backbone=BACKBONES)
def test_built_trained_saved_and_loaded(build, batch, settings, tmp_path, recipe, backbone):
    made = build(recipe, backbone)
    names = set(trained(made))
    moved = step(made, batch)
    assert moved <= names
    if recipe == "full-finetuning":
        assert len(moved) > 0.9 * len(names)
    else:
        assert any("hyperadapter_network" in name for name in moved)
    wanted = logits(made, batch)
    made.save(tmp_path)
    if recipe == "full-finetuning" and "bert" in backbone:
        assert (tmp_path / "model.safetensors").exists()
    loaded = TaskModel.load(tmp_path, recipe, made.settings, backbone, made.task_names)
    assert not loaded.model.training
    torch.testing.assert_close(logits(loaded, batch), wanted, atol=1e-6, rtol=1e-5)
    texts = {n: v for n, v in batch.items() if not n.startswith("decoder")}
    with torch.no_grad():
        options = {"max_new_tokens": 3, "num_beams": 2, "do_sample": False}
        written = [
            one.model.generate(**texts, **one.conditions(TASKS), **options)
            for one in (made, loaded)
        ]
        assert torch.equal(*written)


@one_by_one(recipe=ADAPTED, backbone=BACKBONES)
def test_the_backbone_is_left_as_it_is(build, batch, tiny, recipe, backbone):
    made, plain = build(recipe, backbone), tiny(backbone).model.state_dict()
    step(made, batch)
    new = tiny(backbone).new_modules
    for name, value in made.model.get_base_model().state_dict().items():
        if ".modules_to_save." in name:
            continue
        name = name.replace(".base_layer", "").replace(".original_module", "")
        assert torch.equal(value, plain[name]), name
    moved = {n for n in trained(made) if "hyperadapter_network" not in n}
    assert bool(moved) == bool(new)
    assert all(any(part in name for part in new) for name in moved)


@one_by_one(recipe=[*RECIPES], backbone=BACKBONES)
def test_the_same_seed_the_same_start(build, batch, recipe, backbone):
    first, second, other = (build(recipe, backbone, seed=seed) for seed in (0, 0, 1))
    pairs = zip(first.model.parameters(), second.model.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    if recipe != "full-finetuning":
        pairs = zip(trained(first).values(), trained(other).values(), strict=True)
        assert not all(torch.equal(*pair) for pair in pairs)


@one_by_one(recipe=ADAPTED, backbone=BACKBONES)
def test_next_to_nothing_is_changed_at_the_start(build, batch, tiny, recipe, backbone):
    made = build(recipe, backbone)
    with torch.no_grad():
        plain = tiny(backbone).model(**batch).logits
    torch.testing.assert_close(logits(made, batch), plain, atol=2e-2, rtol=1e-2)


@pairwise(encoder=MODES, decoder=MODES, forms=[("bottleneck", "lora"), ("lora", "bottleneck")])
def test_every_pair_of_modes(build, batch, randomise, encoder, decoder, forms):
    changes = {"encoder": encoder, "decoder": decoder, "encoder_width": 4, "decoder_width": 4}
    changes |= dict(zip(("encoder_form", "decoder_form"), forms, strict=True))
    if (encoder, decoder) == ("none", "none"):
        with pytest.raises(ConfigError, match="nothing would be trained"):
            build(**changes)
        return
    made = build(**changes)
    randomise(made.model)
    together = logits(made, batch)
    for row in range(4):
        kept = batch["attention_mask"][row].bool()
        alone = {
            n: v[row : row + 1] if n.startswith("decoder") else v[row : row + 1, kept]
            for n, v in batch.items()
        }
        with torch.no_grad():
            got = made.model(**alone, **made.conditions(TASKS[row : row + 1])).logits
        torch.testing.assert_close(got[0], together[row], atol=1e-3, rtol=1e-3)
    asked = {"per-task", "task-generated"} & {encoder, decoder}
    assert set(made.conditions(TASKS)) == ({"tasks"} if asked else set())
    if asked:
        with torch.no_grad():
            other = made.model(**batch, tasks=TASKS.roll(1)).logits
        assert (other - together).abs().amax(dim=(1, 2)).min() > 1e-3


@pytest.mark.parametrize("hypernetwork", ["mlp", "basis", "chunked"])
@pytest.mark.parametrize("start", ["zero-change", "lora", "hyperfan-in"])
@pytest.mark.parametrize("separate", [True, False])
def test_other_hypernetworks(build, batch, hypernetwork, start, separate):
    changes = {"hypernetwork": hypernetwork, "start": start, "reading": "normalised"}
    made = build(encoder="task-generated", separate_encoders=separate, **changes)
    assert any("hyperadapter_network" in name for name in step(made, batch))
    assert logits(made, batch).isfinite().all()
    vectors = {n.split(".")[0] for n in adapter_network(made.model).encoders.state_dict()}
    assert vectors == ({"tasks_0", "encoded_1"} if separate else {"tasks", "encoded"})


# -- numbers of parameters -----------------------------------------------------------------------


def count(made):
    return sum(p.numel() for p in adapter_network(made.model).parameters())


@pytest.fixture(scope="module")
def minilm():
    return load_seq2seq("minilm2minilm")


@pytest.fixture(scope="module")
def of_the_hyperdecoder(minilm):
    """Number of its parameters, by the number of tasks."""

    @cache
    def count(n_tasks):
        return counted(minilm, build_config(find_recipe("hyperdecoder").settings, minilm, n_tasks))

    return count


@one_by_one(recipe=MATCHED, n_tasks=[2, 8])
def test_as_many_parameters_as_the_hyperdecoder(minilm, of_the_hyperdecoder, recipe, n_tasks):
    wanted = of_the_hyperdecoder(n_tasks)
    got = counted(minilm, build_config(find_recipe(recipe).settings, minilm, n_tasks))
    assert abs(got / wanted - 1) < 0.02, (got, wanted)


def counted(backbone, config):
    register()
    with torch.device("meta"):
        model = type(backbone.model)(backbone.model.config)
        network = adapter_network(get_peft_model(model, config))
    return sum(p.numel() for p in network.parameters())


def test_matching_does_not_change_the_backbone(minilm):
    before = minilm.model.config.to_dict()
    tensors = {n: p.detach().clone() for n, p in minilm.model.named_parameters()}
    state = torch.random.get_rng_state()
    build_config(find_recipe("single-adapter").settings, minilm, 3)
    assert minilm.model.config.to_dict() == before
    assert all(torch.equal(p, tensors[n]) for n, p in minilm.model.named_parameters())
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_matching_the_width_of_one_stack(minilm, of_the_hyperdecoder, stack):
    wanted = of_the_hyperdecoder(3)
    settings = TaskSettings().changed({f"{stack}_width": 0})
    got = counted(minilm, build_config(settings, minilm, 3))
    assert abs(got / wanted - 1) < 0.02


@pytest.mark.parametrize("changes", [{"preset": "paper"}, {"hidden_width": 64}])
@pytest.mark.parametrize("recipe", ["single-adapter", "adapter-per-task", "hyperformer"])
def test_matched_to_the_hyperdecoder_with_the_same_changes(tiny, changes, recipe):
    counts = [
        count(
            TaskModel.build(name, find_recipe(name).settings.changed(changes), "tiny-t5", "ab", 0)
        )
        for name in (recipe, "hyperdecoder")
    ]
    assert abs(counts[0] / counts[1] - 1) < 0.05, counts


def test_a_match_that_no_width_makes(minilm):
    settings = find_recipe("adapter-per-task").settings.changed({"encoder_width": 1024})
    with pytest.raises(ConfigError, match=r"asks for as many .* at least [\d,]+; give decoder_wid"):
        build_config(settings, minilm, 8)


def test_matching_a_stack_that_has_no_adapters(minilm):
    with pytest.raises(ConfigError, match="decoder_width"):
        build_config(TaskSettings().changed({"decoder": "none", "decoder_width": 0}), minilm, 3)
    both = TaskSettings().changed({"decoder": "none", "decoder_width": 0, "encoder_width": 0})
    assert build_config(both, minilm, 3).groups[0]["width"] > 64


@one_by_one(recipe=[*RECIPES], backbone=BACKBONES)
def test_counts_of_parameters(build, tiny, recipe, backbone):
    made = build(recipe, backbone)
    counts = made.parameter_counts()
    plain = tiny(backbone)
    assert counts["backbone_parameters"] == sum(p.numel() for p in plain.model.parameters())
    if recipe == "full-finetuning":
        assert counts["adapter_parameters"] == 0
        return
    new = sum(
        p.numel()
        for name, p in plain.model.named_parameters()
        if any(f"{part}." in name for part in plain.new_modules)
    )
    assert counts["adapter_parameters"] == count(made)
    assert counts["trainable_parameters"] == count(made) + new


# -- settings ------------------------------------------------------------------------------------


def test_the_table():
    assert DEFAULT_RECIPE in RECIPES and next(iter(RECIPES)) == DEFAULT_RECIPE
    with pytest.raises(ConfigError, match="did you mean hyperdecoder"):
        find_recipe("hyperdecodr")
    with pytest.raises(ConfigError, match="known: hyperdecoder, "):
        find_recipe("xyz")
    for recipe in RECIPES.values():
        assert recipe.summary and recipe.settings == TaskSettings(**vars(recipe.settings))


@pytest.mark.parametrize("recipe", ADAPTED)
def test_the_preset_of_the_paper(build, recipe):
    made = build(recipe, preset="paper", encoder_width=4, decoder_width=4, hidden_width=128)
    settings, network = made.settings, adapter_network(made.model)
    assert (settings.loss, settings.label_smoothing, settings.batch_size) == ("sum", 0.1, 128)
    assert (settings.learning_rate, settings.steps, settings.warmup_steps) == (3e-4, 65_536, 500)
    assert network.spec.hypernetwork == "hyperdecoder" and network.spec.start == "near-zero"
    assert not network.spec.share_encoders
    forms = [place.form for group in network.spec.groups for place in group.placements]
    lora = recipe == "hyperdecoder-lora"
    assert any(isinstance(form, LoRA) for form in forms) == lora
    assert all(f.activation == "relu" and f.scale == 1 for f in forms if isinstance(f, Bottleneck))


def test_what_the_user_sets_counts_more_than_the_preset():
    changed = TaskSettings().changed({"preset": "paper", "steps": 7, "hidden_width": 6})
    assert (changed.steps, changed.hidden_width, changed.site_width) == (7, 6, 10)
    assert changed.changed({"preset": "paper"}) == changed
    assert changed.changed({"steps": 8}).loss == "sum"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stepz": 3}, "stepz.*did you mean.*steps"),
        ({"preset": "theirs"}, "preset"),
        ({"encoder": "generated"}, "encoder"),
        ({"hypernetwork": "two-tower"}, "hypernetwork"),
        ({"conditioning": "random"}, "conditioning"),
        ({"steps": 0}, "steps"),
        ({"steps": "many"}, "steps"),
        ({"encoder_width": -1}, "encoder_width"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"dropout": -0.1}, "dropout"),
        ({"n_basis": 0}, "n_basis"),
        ({"reading": "linear"}, "reading"),
    ],
)
def test_settings_that_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        TaskSettings().changed(changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "full"}, "both trained in full, or neither"),
        ({"decoder": "full"}, "both trained in full, or neither"),
        ({"hypernetwork": "mlp"}, "near-zero"),
        ({"hypernetwork": "mlp", "start": "zero-change"}, "reading='plain'"),
        ({"hypernetwork": "hyperdecoder", "hidden_width": 7}, "even"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_settings_that_do_not_go_together(build, changes, message):
    with pytest.raises(ConfigError, match=message):
        build(**changes)


def test_another_number_of_tasks_is_refused(build, tmp_path):
    made = build("hyperformer", encoder_width=4, decoder_width=4)
    made.save(tmp_path)
    with pytest.raises(RunError, match="knows 3 tasks, not 2"):
        TaskModel.load(tmp_path, "hyperformer", made.settings, "tiny-t5", ["a", "b"])


def test_dropout_is_that_of_training(build, batch, randomise):
    made = build(dropout=0.5)
    randomise(made.model)
    assert torch.equal(logits(made, batch), logits(made, batch))
    made.model.train()
    assert not torch.equal(logits(made, batch), logits(made, batch))


# -- the built-in encoder–decoder ----------------------------------------------------------------


def test_the_built_in_backbone(tmp_path):
    names = ["one", "two"]
    made = TaskModel.build(
        "hyperdecoder", RECIPES["hyperdecoder"].settings, "minilm2minilm", names, 0
    )
    assert isinstance(made.model, PeftModel)
    texts = made.tokenizer(
        ["a short text", "another text, longer than it"], padding=True, return_tensors="pt"
    )
    given = {n: texts[n] for n in ("input_ids", "attention_mask")}
    labels = made.tokenizer(["yes", "no"], return_tensors="pt")["input_ids"]
    names = {n for n in trained(made) if "hyperadapter_network" not in n}
    assert any("crossattention" in n for n in names)
    assert any("cls.predictions.transform" in n for n in names)
    assert not any("embeddings" in n or "predictions.decoder" in n for n in names)
    decoder = made.model.get_base_model().decoder
    tied = decoder.cls.predictions.decoder.weight
    assert tied is decoder.bert.embeddings.word_embeddings.weight
    before = tied.detach().clone()
    batch = {**given, "decoder_input_ids": labels}
    made.model.train()
    words = made.model(**batch).logits.flatten(0, 1)
    torch.nn.functional.cross_entropy(words, labels.flatten()).backward()
    assert all(
        p.grad is not None and p.grad.abs().max() > 0
        for n, p in trained(made).items()
        if "hyperadapter" not in n and "bias" not in n
    )
    torch.optim.SGD(trained(made).values(), lr=1e-2).step()
    assert torch.equal(tied, before)
    made.model.eval()
    made.save(tmp_path)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    wanted = 4 * made.parameter_counts()["trainable_parameters"]
    assert wanted <= size < wanted + 200_000
    loaded = TaskModel.load(
        tmp_path, "hyperdecoder", made.settings, "minilm2minilm", made.task_names
    )
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(**batch).logits, made.model(**batch).logits)
        for beams in (1, 2):
            options = {"max_new_tokens": 4, "num_beams": beams}
            written = [one.model.generate(**given, **options) for one in (made, loaded)]
            assert torch.equal(*written) and written[0].shape[0] == 2
    assert isinstance(load_seq2seq("minilm2minilm"), Seq2SeqBackbone)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_trains_what_is_new_in_the_built_in_backbone(recipe):
    made = TaskModel.build(recipe, RECIPES[recipe].settings, "minilm2minilm", ["one", "two"], 0)
    names = set(trained(made))
    for part in ("crossattention", "cls.predictions.transform"):
        there = {n for n, _ in made.model.named_parameters() if f"{part}." in n}
        there = {n for n in there if ".original_module." not in n and "hyperadapter" not in n}
        assert there and there <= names
    if recipe != "full-finetuning":
        assert not any("embeddings" in n for n in names)
