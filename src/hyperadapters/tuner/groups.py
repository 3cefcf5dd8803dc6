"""Groups of sites as users write them: which modules, what form, which source of weights."""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from peft.utils.other import get_pattern_key

from hyperadapters.adapters import Activation, AdapterForm, Bottleneck, LoRA
from hyperadapters.errors import ConfigError
from hyperadapters.hypernetworks import Source
from hyperadapters.sites import DEFAULT_TARGETS, FEED_FORWARD

FormName = Literal["lora", "bottleneck"]
Stack = Literal["encoder", "decoder"]
Names = Collection[str] | str


@dataclass(frozen=True)
class Group:
    """Sites whose weights have one form and come from one source.

    Args:
        form: ``"lora"`` on linear modules, or the parallel ``"bottleneck"`` on modules that map
            hidden states to hidden states.
        source: ``"generated"`` by the hypernetwork, one ``"learned"`` adapter for everybody, or
            one stored adapter ``"per-condition"`` (per task, per annotator).
        target_modules: Names (endings, or one regular expression) of the modules, or
            ``"all-linear"``; by default those of the family of the backbone. For a bottleneck,
            ``"A>B"`` reads what module A reads and adds to what module B of the same parent writes.
        exclude_modules: Names (endings, or one regular expression) to leave out.
        stack: Only modules of the ``"encoder"`` or of the ``"decoder"``.
        layers_to_transform: Numbers of the layers to adapt; all by default.
        r: LoRA rank.
        lora_alpha: The LoRA correction is multiplied by `lora_alpha / r`.
        use_rslora: Multiply by `lora_alpha / √r` instead.
        rank_pattern: Module name (ending or regular expression) → rank where it differs.
        alpha_pattern: Module name → alpha where it differs.
        width: Number of units of a bottleneck.
        width_pattern: Module name → width where it differs.
        activation: Of a bottleneck: ``"gelu"``, ``"relu"``, ``"silu"`` or ``"tanh"``.
        scale: Factor on what a bottleneck adds.
        dropout: Dropout on the adapter's input.
        conditions: Names of the conditions that the group adapts to; all by default.
        gains: Whether each condition has a learned factor on each direction (rank or unit).
        deviating_layers: Numbers of the layers in which generated weights deviate from the shared
            adapter; all adapted layers by default.
        first_pass: Whether the group works only in the first of two passes, in which an
            `Instance(source="first-pass")` reads the input.

    Raises:
        ConfigError: A field is out of range.
    """

    form: FormName = "lora"
    source: Source = "generated"
    target_modules: Names | None = None
    exclude_modules: Names | None = None
    stack: Stack | None = None
    layers_to_transform: Sequence[int] | int | None = None
    r: int = 8
    lora_alpha: float | int = 16
    use_rslora: bool = False
    rank_pattern: Mapping[str, int] | None = None
    alpha_pattern: Mapping[str, float | int] | None = None
    width: int = 64
    width_pattern: Mapping[str, int] | None = None
    activation: Activation = "gelu"
    scale: float | int = 1.0
    dropout: float = 0.0
    conditions: Sequence[str] | None = None
    gains: bool = False
    deviating_layers: Sequence[int] | None = None
    first_pass: bool = False

    def __post_init__(self) -> None:
        for name, allowed in (("form", FormName), ("source", Source), ("stack", Stack)):
            value, choices = getattr(self, name), get_args(allowed)
            if value not in choices and not (name == "stack" and value is None):
                shown = ", ".join(repr(choice) for choice in choices)
                raise ConfigError(f"{name} must be one of {shown}, got {value!r}")
        _check_types(self)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1), got {self.dropout}")
        for size in (self.r, *(self.rank_pattern or {}).values()):
            _ = LoRA(size, float(self.lora_alpha))
        for size in (self.width, *(self.width_pattern or {}).values()):
            _ = Bottleneck(size, self.activation, float(self.scale))

    @property
    def layers(self) -> set[int] | None:
        """`layers_to_transform` as a set."""
        if self.layers_to_transform is None:
            return None
        wanted = self.layers_to_transform
        return {wanted} if isinstance(wanted, int) else set(wanted)

    def form_at(self, name: str) -> AdapterForm:
        """The form at the module of that name, with the size that the patterns give it."""
        if self.form == "bottleneck":
            return Bottleneck(
                _by(self.width_pattern, name, self.width), self.activation, float(self.scale)
            )
        alpha = float(_by(self.alpha_pattern, name, self.lora_alpha))
        return LoRA(_by(self.rank_pattern, name, self.r), alpha, self.use_rslora)

    def default_targets(self, family: str | None) -> Names | None:
        """The targets as written, or else those of the family; `None` when it has none."""
        if self.target_modules is not None:
            return self.target_modules
        table = FEED_FORWARD if self.form == "bottleneck" else DEFAULT_TARGETS
        return table.get(family or "")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form; what has its default value is left out."""
        written = {f.name: f.default for f in fields(self)}
        data = {name: value for name, value in asdict(self).items() if value != written[name]}
        return {
            name: sorted(value)
            if isinstance(value, set | frozenset)
            else list(value)
            if isinstance(value, tuple | range)
            else value
            for name, value in data.items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Group":
        """Inverse of `to_dict`.

        Raises:
            ConfigError: A field is not known; names the one that comes near.
        """
        known = [field.name for field in fields(cls)]
        for name in data:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                advice = f"; did you mean {near[0]!r}?" if near else ""
                raise ConfigError(f"a group has no field {name!r}{advice}")
        return cls(**data)


def reader_of(target: str, name: str) -> str | None:
    """Path of the module that a bottleneck at `name` reads from; `None` if they do not match.

    Args:
        target: An ending of module paths, or ``"A>B"``.
        name: Path of the module that is added to.
    """
    reads, _, adds = target.rpartition(">")
    if name != adds and not name.endswith(f".{adds}"):
        return None
    return name if not reads else name[: len(name) - len(adds)] + reads


def matching(targets: Names, name: str) -> str | None:
    """The target that a module path matches, as in PEFT: an ending, or a regular expression."""
    if isinstance(targets, str):
        return targets if re.fullmatch(targets, name) else None
    for target in targets:
        if target.startswith("re:"):
            if re.fullmatch(target.removeprefix("re:"), name):
                return target
        elif reader_of(target, name) is not None:
            return target
    return None


def _check_types(group: Group) -> None:
    sizes = {"r": group.r, "width": group.width}
    sizes |= {f"rank_pattern[{k!r}]": v for k, v in (group.rank_pattern or {}).items()}
    sizes |= {f"width_pattern[{k!r}]": v for k, v in (group.width_pattern or {}).items()}
    for name, value in sizes.items():
        if type(value) is not int:
            raise ConfigError(f"{name} must be a whole number, got {value!r}")
    numbers = {"lora_alpha": group.lora_alpha, "dropout": group.dropout, "scale": group.scale}
    numbers |= {f"alpha_pattern[{k!r}]": v for k, v in (group.alpha_pattern or {}).items()}
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{name} must be a number, got {value!r}")


def _by(pattern: Mapping[str, Any] | None, name: str, default: Any) -> Any:
    if not pattern:
        return default
    return pattern.get(get_pattern_key(list(pattern), name), default)
