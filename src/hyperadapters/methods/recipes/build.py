"""From a recipe's settings to a PEFT configuration for one backbone."""

from dataclasses import replace
from typing import Any

import torch
from peft import get_peft_model
from torch import nn

from hyperadapters.backbones import Seq2SeqBackbone
from hyperadapters.conditions import Condition, Instance, Lookup
from hyperadapters.errors import ConfigError
from hyperadapters.methods.recipes.settings import TaskSettings
from hyperadapters.methods.recipes.table import find_recipe
from hyperadapters.tuner import Group, HyperAdapterConfig, adapter_network
from hyperadapters.tuner.instance import states_width
from hyperadapters.tuner.upstream import upstream_warnings_ignored

TASKS = "tasks"
"""Keyword under which a model takes the indices of the rows' tasks."""

READ_FIRST, ENCODED = "read_first", "encoded"
"""Names of the conditions that are the input itself; nobody passes them."""

STACKS = ("encoder", "decoder")
MATCHED_TO = "hyperdecoder"
TOLERANCE = 0.01
FAR = 1.25
"""So many times as many parameters are no match any more."""


def is_full(settings: TaskSettings) -> bool:
    """Whether the backbone itself is trained.

    Raises:
        ConfigError: Only one half of it is to be.
    """
    full = [getattr(settings, stack) == "full" for stack in STACKS]
    if any(full) and not all(full):
        raise ConfigError("encoder and decoder are both trained in full, or neither is")
    return all(full)


def check_control(settings: TaskSettings) -> None:
    """Whether there is something for a control to replace.

    Raises:
        ConfigError: A control was asked for, but nothing is written from the input.
    """
    if settings.conditioning != "own" and "instance-generated" not in (
        settings.encoder,
        settings.decoder,
    ):
        raise ConfigError(
            f"conditioning={settings.conditioning} is a control of adapters that are written from "
            f"the input; here the encoder's are {settings.encoder} and the decoder's "
            f"{settings.decoder}"
        )


def build_config(
    settings: TaskSettings,
    backbone: Seq2SeqBackbone,
    n_tasks: int,
    like: TaskSettings | None = None,
) -> HyperAdapterConfig:
    """The configuration of a recipe.

    Args:
        settings: What adapts what; a width of 0 is resolved, see `Recipe.defaults`.
        backbone: The encoder–decoder.
        n_tasks: Number of tasks.
        like: What a width of 0 is matched to; by default `hyperdecoder` as it comes.

    Raises:
        ConfigError: The modes or sizes do not go together.
    """
    if not settings.encoder_width or not settings.decoder_width:
        like = like or find_recipe(MATCHED_TO).settings
        settings = _matched(settings, like, backbone, n_tasks)
    return _config(settings, backbone, n_tasks)


def matched_to(recipe: str, settings: TaskSettings) -> TaskSettings:
    """`hyperdecoder` with what a user changed of a recipe: what a comparison would run beside it.

    Modes and forms are the recipe's own business, and so are widths of 0.
    """
    own = find_recipe(recipe).settings.to_dict()
    apart = {f"{stack}{part}" for stack in STACKS for part in ("", "_form")}
    changes = {
        name: value
        for name, value in settings.to_dict().items()
        if value != own[name] and name not in apart and (value or not name.endswith("coder_width"))
    }
    return find_recipe(MATCHED_TO).settings.changed(changes)


def _config(settings: TaskSettings, backbone: Seq2SeqBackbone, n_tasks: int) -> HyperAdapterConfig:
    groups: list[Group] = []
    for stack in STACKS:
        groups += _groups(settings, stack)
    has_lora = settings.decoder != "none" and settings.decoder_form == "lora"
    if settings.decoder_beside and has_lora:
        beside = {"decoder_form": "bottleneck", "decoder_width": settings.decoder_beside}
        groups += _groups(replace(settings, **beside), "decoder")
    if not groups:
        raise ConfigError("neither encoder nor decoder is adapted: nothing would be trained")
    published = settings.hypernetwork == "hyperdecoder"
    options: dict[str, Any] = {"condition_width": settings.condition_width}
    if published:
        # A task's vector stands where the pooled input would stand.
        options = {"condition_width": states_width(backbone.model)}
    return HyperAdapterConfig(
        task_type="SEQ_2_SEQ_LM",
        conditions=_conditions(settings, groups, n_tasks),
        groups=groups,
        hypernetwork=settings.hypernetwork,  # pyright: ignore[reportArgumentType]
        start=settings.start,  # pyright: ignore[reportArgumentType]
        hidden_width=settings.hidden_width,
        site_width=settings.site_width,
        n_basis=settings.n_basis,
        share_encoders=not settings.separate_encoders,
        modules_to_save=list(backbone.new_modules) or None,
        **options,
    )


def _groups(settings: TaskSettings, stack: Any) -> list[Group]:
    mode = getattr(settings, stack)
    if mode == "none":
        return []
    form, width = getattr(settings, f"{stack}_form"), getattr(settings, f"{stack}_width")
    shared: dict[str, Any] = {"form": form, "stack": stack, "dropout": settings.dropout}
    if form == "lora":
        targets = "all-linear" if settings.lora_targets == "all" else None
        # What is multiplied by alpha / r does not depend on r.
        shared |= {"r": width, "lora_alpha": settings.alpha * width, "target_modules": targets}
    else:
        shared |= {"width": width, "activation": settings.activation}
    if mode == "learned":
        return [Group(source="learned", conditions=(), **shared)]
    if mode == "per-task":
        return [Group(source="per-condition", conditions=(TASKS,), **shared)]
    if mode == "task-generated":
        return [Group(source="generated", conditions=(TASKS,), **shared)]
    if stack == "decoder":
        return [Group(source="generated", conditions=(ENCODED,), **shared)]
    first = Group(source="learned", conditions=(), first_pass=True, **shared)
    return [first, Group(source="generated", conditions=(READ_FIRST,), **shared)]


def _conditions(settings: TaskSettings, groups: list[Group], n_tasks: int) -> dict[str, Condition]:
    how: dict[str, Any] = {"reading": settings.reading, "standardised": settings.standardised}
    declared: dict[str, Condition] = {
        TASKS: Lookup(n_tasks, unknown="error"),
        READ_FIRST: Instance(source="first-pass", **how),
        ENCODED: Instance(source="encoder", **how),
    }
    used = {name for group in groups for name in group.conditions or ()}
    return {name: condition for name, condition in declared.items() if name in used}


def _matched(
    settings: TaskSettings, like: TaskSettings, backbone: Seq2SeqBackbone, n_tasks: int
) -> TaskSettings:
    """The settings with the width at which there are as many parameters as with `like`.

    The number of parameters is an affine function of the width, so two of them tell it. A rank that
    is written costs many at once; then the hidden layer of the generator makes up for the rest.

    Raises:
        ConfigError: The stack whose width is asked for has no adapters, or at any width there are
            far more parameters.
    """
    wanted = _count(_config(like, backbone, n_tasks), backbone)
    free = [f"{stack}_width" for stack in STACKS if not getattr(settings, f"{stack}_width")]

    def with_width(width: int) -> TaskSettings:
        return replace(settings, **dict.fromkeys(free, width))

    low, high = 4, 8

    def count(changed: TaskSettings) -> int:
        return _count(_config(changed, backbone, n_tasks), backbone)

    counts = [count(with_width(w)) for w in (low, high)]
    slope = (counts[1] - counts[0]) / (high - low)
    if slope == 0:
        raise ConfigError(f"{', '.join(free)} of 0 asks for a width, but nothing there has one")
    matched = with_width(max(1, round(low + (wanted - counts[0]) / slope)))
    missed = wanted - count(matched)
    if abs(missed) <= TOLERANCE * wanted:
        return matched
    of_hidden = count(replace(matched, hidden_width=matched.hidden_width + 2)) - count(matched)
    more = 2 * round(missed / of_hidden) if of_hidden else 0
    matched = replace(matched, hidden_width=max(2, matched.hidden_width + more))
    if (got := count(matched)) > FAR * wanted:
        raise ConfigError(
            f"a width of 0 asks for as many parameters as {MATCHED_TO} has, {wanted:,}, but with "
            f"the other settings there are at least {got:,}; give {' and '.join(free)}"
        )
    return matched


def _count(config: HyperAdapterConfig, backbone: Seq2SeqBackbone) -> int:
    """Number of an adapter's parameters; nothing is allocated."""
    with torch.device("meta"):
        model: nn.Module = type(backbone.model)(backbone.model.config)
        with upstream_warnings_ignored():
            network = adapter_network(get_peft_model(model, config))  # pyright: ignore
    return sum(parameter.numel() for parameter in network.parameters())
