"""Which modules of a backbone the groups of a configuration adapt."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer, _maybe_include_all_linear_layers
from peft.utils.other import get_pattern_key
from torch import nn

from hyperadapters.adapters import Placement
from hyperadapters.conditions import Instance
from hyperadapters.errors import SiteError
from hyperadapters.hypernetworks import GroupSpec
from hyperadapters.sites import Site
from hyperadapters.tuner.config import HyperAdapterConfig
from hyperadapters.tuner.groups import Group, Names, matching, reader_of
from hyperadapters.tuner.layer import is_linear


@dataclass(frozen=True)
class Match:
    """A module that a group adapts.

    Attributes:
        group: Number of the group.
        reader: Path of the module that is read; for LoRA it is the module itself.
    """

    group: int
    reader: str


class Plan:
    """The targets of every group of a configuration, in one backbone.

    Args:
        config: The configuration.
        model: The backbone.

    Raises:
        SiteError: The family has no default targets and none are named.
    """

    def __init__(self, config: HyperAdapterConfig, model: nn.Module) -> None:
        self.config = config
        self.groups = config.resolved_groups
        self._paths = {_public(name) for name, _ in model.named_modules()}
        self._targets = [_targets(group, model, config) for group in self.groups]

    def matches(self, name: str) -> list[Match]:
        """The groups that adapt the module of that path."""
        if self.is_saved(name):
            return []
        found = []
        for number, (group, targets) in enumerate(zip(self.groups, self._targets, strict=True)):
            target = matching(targets, name)
            if target is None or not self._wanted(group, name):
                continue
            reader = name
            if not isinstance(targets, str) and not target.startswith("re:"):
                reader = reader_of(target, name) or name
            if reader == name or (group.form == "bottleneck" and reader in self._paths):
                found.append(Match(number, reader))
        return found

    def is_saved(self, name: str) -> bool:
        """Whether a module belongs to those that are trained as they are."""
        # As PEFT matches them: "classifier" is also DistilBERT's "pre_classifier".
        parts = name.split(".")
        paths = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
        saved = tuple(self.config.modules_to_save or ())
        return any(path.endswith(saved) for path in paths)

    def is_excluded(self, name: str) -> bool:
        """Whether a module would be adapted if it were not for `exclude_modules`."""
        return any(
            matching(targets, name) is not None and _excluded(group, name)
            for group, targets in zip(self.groups, self._targets, strict=True)
        )

    def check_complete(self, placements: Sequence[Sequence[Placement]], model: nn.Module) -> None:
        """Refuse whatever was written and matches nothing.

        Args:
            placements: Per group the sites that were found.
            model: The backbone.

        Raises:
            SiteError: A group, one of its targets, patterns or layers, or a module to save matches
                nothing; names the modules that come near.
        """
        everything = [_public(name) for name, _ in model.named_modules() if name]
        for group, targets, found in zip(self.groups, self._targets, placements, strict=True):
            if not found:
                raise SiteError(no_match(model, group, targets))
            _check_group(group, [place.site for place in found], everything)
        for entry in set(self.config.modules_to_save or ()) - {"classifier", "score"}:
            if not any(name.endswith(entry) for name in everything):
                raise SiteError(f"modules_to_save: {_unmatched(entry, everything)}")

    def check_stages(self, groups: Sequence[GroupSpec]) -> None:
        """Refuse weights that would be needed before they can be written.

        Raises:
            SiteError: A group outside of the decoder adapts to what the encoder gives.
        """
        declared = self.config.declared
        encoded = {
            name
            for name, condition in declared.items()
            if isinstance(condition, Instance) and condition.source == "encoder"
        }
        for group in groups:
            found = encoded & set(group.conditions) if group.adapts else set()
            early = [p.site.name for p in group.placements if _stack(p.site.name) != "decoder"]
            if found and early:
                raise SiteError(
                    f"{early[0]} cannot adapt to {', '.join(sorted(found))}, which is what the "
                    "encoder gives when it has run; give the group stack='decoder', or name the "
                    "conditions of the others"
                )

    @staticmethod
    def _wanted(group: Group, name: str) -> bool:
        if _excluded(group, name) or group.stack not in (None, _stack(name)):
            return False
        return group.layers is None or Site(name, 1, 1).layer in group.layers


def _written(entries: Names | None) -> list[str]:
    """Entries of a list that a user wrote; an expression stands for whatever it matches."""
    return [] if entries is None or isinstance(entries, str) else sorted(entries)


def _check_group(group: Group, sites: Sequence[Site], everything: Sequence[str]) -> None:
    for field in ("target_modules", "exclude_modules"):
        for entry in _written(getattr(group, field)):
            if not any(matching([entry], name) for name in everything):
                raise SiteError(f"{field}: {_unmatched(entry, everything)}")
    for field in ("rank_pattern", "alpha_pattern", "width_pattern"):
        for key in getattr(group, field) or ():
            if not any(get_pattern_key([key], site.name) == key for site in sites):
                raise SiteError(f"{field}: {_unmatched(key, [site.name for site in sites])}")
    _check_layers("layers_to_transform", group.layers, sites)
    _check_layers("deviating_layers", group.deviating_layers, sites)


def _check_layers(field: str, wanted: Iterable[int] | None, sites: Sequence[Site]) -> None:
    there = {site.layer for site in sites if site.layer is not None}
    if missing := sorted(set(wanted or ()) - there):
        raise SiteError(
            f"{field}: no adapted module is in layer {missing[0]}; adapted: {sorted(there)}"
        )


def _unmatched(entry: str, names: Sequence[str]) -> str:
    endings = {name.rsplit(".", 1)[-1] for name in names}
    near = difflib.get_close_matches(entry.rsplit(".", 1)[-1], endings, n=3, cutoff=0.4)
    shown = ", ".join(near or sorted(endings)[:10])
    return f"{entry!r} matches nothing; modules with near names: {shown}"


def no_match(model: nn.Module, group: Group, targets: Names) -> str:
    """What to say when the targets of a group match nothing."""
    endings = sorted({name.rsplit(".", 1)[-1] for name in _candidates(model, group)})
    wanted = [targets] if isinstance(targets, str) else sorted(targets)
    near = {n for w in wanted for n in difflib.get_close_matches(w, endings, cutoff=0.4)}
    shown = ", ".join(sorted(near) or endings)
    kind = "modules" if group.form == "bottleneck" else "linear modules"
    layers = f" in layers {sorted(group.layers)}" if group.layers is not None else ""
    stack = f" of the {group.stack}" if group.stack else ""
    regex = " (a string is a regular expression of the whole path; endings are given as a list)"
    return (
        f"target_modules {wanted}{layers}{stack} match nothing; {kind} with near names: {shown}"
        + (regex if isinstance(targets, str) else "")
    )


def _targets(group: Group, model: nn.Module, config: HyperAdapterConfig) -> Names:
    if group.target_modules is not None:
        targets = group.target_modules
    else:
        found: set[str] = set()
        for family in _families(model):
            of_family = group.default_targets(family)
            if of_family is None:
                endings = {name.rsplit(".", 1)[-1] for name in _candidates(model, group)}
                raise SiteError(
                    f"no default targets for the family {family!r}; name target_modules, among "
                    + ", ".join(sorted(endings))
                )
            found |= set(of_family)
        targets = sorted(found)
    if isinstance(targets, str) and targets.lower() == "all-linear":
        asked = SimpleNamespace(target_modules=targets, task_type=config.task_type)
        everything = _maybe_include_all_linear_layers(asked, model).target_modules  # pyright: ignore
        return sorted(name for name in everything if not adapts_positions(model, name))
    return targets


def _stack(name: str) -> str | None:
    """The stack that a module belongs to: of a BERT that decodes, `decoder.bert.encoder.…`."""
    return next((part for part in name.split(".") if part in ("encoder", "decoder")), None)


def _families(model: nn.Module) -> list[str]:
    """Families of the backbone: that of its configuration, or those of its two halves."""
    config: Any = getattr(model, "config", None)
    if getattr(config, "model_type", None) == "encoder-decoder":
        return [config.encoder.model_type, config.decoder.model_type]
    return [getattr(config, "model_type", None) or type(model).__name__]


def _candidates(model: nn.Module, group: Group) -> Iterator[str]:
    for name, module in model.named_modules():
        if ".modules_to_save." in name or not name:
            continue
        # Where PEFT has wrapped a module already, the name that counts is that of the wrapper.
        inner = len(list(module.children())) > 0
        linear = is_linear(module) and not isinstance(module, BaseTunerLayer)
        if linear or (group.form == "bottleneck" and inner):
            yield _public(name)


def _public(name: str) -> str:
    return name.removesuffix(".base_layer").removesuffix(".original_module")


def _excluded(group: Group, name: str) -> bool:
    return bool(group.exclude_modules) and matching(group.exclude_modules or (), name) is not None


# DeBERTa's projections of relative positions.
_POSITIONS = ("pos_proj", "pos_q_proj", "pos_key_proj", "pos_query_proj")
_SHARED_WITH_POSITIONS = ("query_proj", "key_proj")


def adapts_positions(model: Any, name: str) -> bool:
    """Whether a projection is applied to DeBERTa's relative positions (too).

    These have no rows, so weights that differ from row to row cannot be applied to them.
    """
    config = getattr(model, "config", None)
    ending = name.rsplit(".", 1)[-1]
    if getattr(config, "model_type", None) not in ("deberta", "deberta-v2"):
        return False
    shared = getattr(config, "relative_attention", False) and getattr(
        config, "share_att_key", False
    )
    return ending in _POSITIONS or (bool(shared) and ending in _SHARED_WITH_POSITIONS)
