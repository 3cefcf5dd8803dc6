import math

import pytest
import torch

from hyperadapters.conditions import Attributes, Vocabulary
from hyperadapters.data import People
from hyperadapters.labels import LabelSpace
from hyperadapters.methods import METHODS, AnnotatorClassifier, Settings, find_method
from hyperadapters.training.optimizer import (
    build_optimizer,
    learning_rates,
    named_trainable,
    parameters_by_role,
    rate_factor,
)

NETWORKS = [name for name, method in METHODS.items() if method.kind == "network"]
SMALL = {
    **{"condition_width": 4, "site_width": 4, "hidden_width": 8, "adapted_layers": 2},
    "deviation": "lora",
}


@pytest.fixture
def model_of(tiny_bert):
    def build(name):
        method = find_method(name)
        settings = method.settings.changed(SMALL)
        people = Vocabulary(("a", "b", "c"))
        space = LabelSpace(("fine", "toxic"))
        told = (Attributes({"age": ("old", "young")}), {"a": ("old",), "b": ("young",)})
        return AnnotatorClassifier.build(
            *(method, settings, tiny_bert, space, people, 0),
            people=People(*told) if "attributes" in method.told else None,
        ).model

    return build


@pytest.mark.parametrize("name", NETWORKS)
def test_every_trained_parameter_has_one_role(name, model_of):
    model = model_of(name)
    of_role = [id(p) for parameters in parameters_by_role(model).values() for p in parameters]
    trained = [id(p) for _, p in named_trainable(model)]
    assert sorted(of_role) == sorted(trained)
    assert len(set(of_role)) == len(of_role)


def test_a_trained_backbone_has_a_rate_of_its_own(tiny_bert):
    method = find_method("intercept")
    settings = method.settings.changed({"tuning": "full", "backbone_learning_rate": 7e-5})
    model = AnnotatorClassifier.build(
        *(method, settings, tiny_bert, LabelSpace((0, 1)), Vocabulary(("a", "b")), 0)
    ).model
    names = {id(p): name for name, p in named_trainable(model)}
    rate_of = {
        names[id(p)]: group["lr"]
        for group in build_optimizer(model, learning_rates(settings), 0.01).param_groups
        for p in group["params"]
    }
    assert rate_of.keys() == set(names.values())
    for name, rate in rate_of.items():
        wanted = {"classifier": 1e-3, "vectors": 2e-2}
        found = [value for part, value in wanted.items() if part in name] or [7e-5]
        assert rate == found[0], name


def test_roles(model_of):
    name_of = {}
    roles = {}
    for method in NETWORKS:
        model = model_of(method)
        name_of |= {id(p): n for n, p in named_trainable(model)}
        roles[method] = {
            role: {name_of[id(p)].rsplit("hyperadapter_network.default.", 1)[-1] for p in members}
            for role, members in parameters_by_role(model).items()
        }
    ours = roles["hyperlora"]
    assert ours["condition"] == {"encoders.annotator_ids.vectors"}
    assert any(".source.heads.maps.b_" in name for name in ours["deviation"])
    assert not any(".shared." in name for name in ours["deviation"])
    assert any(".source.trunk." in name for name in ours["deviation"])
    assert any(".source.shared." in name for name in ours["shared"])
    assert any("classifier" in name for name in ours["shared"])
    assert roles["attributes-only"]["condition"] == {"encoders.annotator_attributes.vectors"}
    assert roles["intercept"]["condition"] == {"biases.annotator_ids.vectors"}
    assert roles["text-only"]["condition"] == set()
    parts = {f"outputs.annotator_ids.{part}.vectors" for part in ("weight", "bias")}
    assert roles["multi-head"]["condition"] == parts
    assert roles["user-token"]["condition"] == {"token.deviations.annotator_ids.vectors"}
    assert "token.population" in roles["user-token"]["shared"]
    assert not any(found["backbone"] for found in roles.values())
    # What heads of people have in common is their start, which is not trained.
    heads = [sum("classifier" in name for name in roles[m]["shared"]) for m in NETWORKS]
    assert dict(zip(NETWORKS, heads, strict=True)) == {m: 2 * (m != "multi-head") for m in NETWORKS}
    assert roles["text-only"]["deviation"] == roles["hyperlora-paper"]["deviation"] == set()


@pytest.mark.parametrize("name", NETWORKS)
def test_each_role_has_its_rate_and_matrices_decay(name, model_of):
    model = model_of(name)
    rates = {"condition": 0.3, "deviation": 0.2, "shared": 0.1}
    optimizer = build_optimizer(model, rates, weight_decay=0.5)
    roles = parameters_by_role(model)
    role_of = {id(p): role for role, members in roles.items() for p in members}
    seen = set()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            seen.add(id(parameter))
            role = role_of[id(parameter)]
            assert group["lr"] == rates[role]
            decays = parameter.ndim >= 2 and role != "condition"
            assert group["weight_decay"] == (0.5 if decays else 0.0)
    assert seen == role_of.keys()


def test_rates_are_those_of_the_settings():
    rates = {"learning_rate": 1.0, "deviation_learning_rate": 2.0, "condition_learning_rate": 3.0}
    settings = Settings(**rates, backbone_learning_rate=4.0)
    wanted = {"shared": 1.0, "deviation": 2.0, "condition": 3.0, "backbone": 4.0}
    assert learning_rates(settings) == wanted


def shape(schedule, n_steps=10, warmup=4):
    return [rate_factor(step, n_steps, warmup, schedule) for step in range(n_steps)]


def test_rate_factors():
    assert shape("constant") == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]
    assert shape("linear") == pytest.approx(
        [0.25, 0.5, 0.75, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    )
    cosine = shape("cosine")
    assert cosine[:5] == [0.25, 0.5, 0.75, 1, 1]
    assert cosine[7] == pytest.approx(0.5)
    assert cosine[9] == pytest.approx(0.5 * (1 + math.cos(math.pi * 5 / 6)))
    assert cosine[4:] == sorted(cosine[4:], reverse=True)
    assert shape("linear", warmup=0)[0] == shape("cosine", warmup=0)[0] == 1


def test_past_the_end_nothing_moves():
    assert rate_factor(12, 10, 0, "linear") == 0
    assert rate_factor(12, 10, 0, "cosine") == pytest.approx(0)
    assert rate_factor(0, 0, 0, "linear") == 1


def test_frozen_parameters_are_in_no_group(model_of):
    model = model_of("hyperlora")
    optimizer = build_optimizer(model, learning_rates(Settings()), 0.0)
    grouped = {id(p) for group in optimizer.param_groups for p in group["params"]}
    frozen = {id(p) for p in model.parameters() if not p.requires_grad}
    assert frozen and not grouped & frozen
    assert isinstance(optimizer, torch.optim.AdamW)
