"""What the hypernetwork writes for a condition, as LoRAs that PEFT loads by itself."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn

from hyperadapters.conditions import Condition, Lookup
from hyperadapters.errors import ConfigError
from hyperadapters.export.folders import CONFIG, WEIGHTS, FolderWriter, check_is_free, is_whole
from hyperadapters.tuner.conditioning import conditioning_of
from hyperadapters.tuner.head import trained_head
from hyperadapters.tuner.materialise import (
    Materialised,
    materialise,
    materialise_rows,
    prepare_values,
)

# Where PEFT puts a model inside of a `PeftModel`.
PREFIX = "base_model.model."
# Most bytes of weights that are written at once.
BLOCK_BYTES = 32 * 2**20


def export_lora(
    model: nn.Module,
    condition: Mapping[str, Any],
    folder: str | Path,
    *,
    include_head: bool = True,
    adapter_name: str | None = None,
    names: Sequence[str] | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write the adapter of a condition as an ordinary PEFT LoRA folder.

    `PeftModel.from_pretrained(backbone, folder)` and `backbone.load_adapter(folder)` give the
    logits that `model` gives under this condition.

    Thousands of conditions can be given at once: their weights are written in blocks, and a new
    folder appears when all of it is written.

    Args:
        model: A `PeftModel` with a hyperadapter.
        condition: Keyword → value: an index, a mixture ``{index: weight}``, a vector, attributes.
            Several indices of a `Lookup` write one sub-folder for each, named by the index (the
            other conditions serve them all).
        folder: Where to write; made if it is not there.
        include_head: Whether to write the trained classification head too. Some servers refuse
            `modules_to_save`; without it the LoRA alone is written, and the head is the caller's.
        adapter_name: Which adapter; by default the active one.
        names: Names of the sub-folders, one for each of several conditions; by default they are
            named by the index.
        resume: Leave folders alone that hold an adapter, as those of an export that was stopped.
            Whether it is the same adapter is not looked at.
        progress: Is told how many folders are done, and how many there are.

    Returns:
        The folders, also those left alone.

    Raises:
        ConfigError: There is no LoRA equal to the adapter; the message says why.
        ConditionError: The condition is missing or out of range. Nothing is written then.
    """
    tuner: Any = conditioning_of(model).tuner
    name = _adapter(tuner, adapter_name)
    declared = tuner.network(name).spec.conditions
    lists = {n: list(v) for n, v in condition.items() if _is_list(declared.get(n), v)}
    parts = _names(lists, declared) if names is None else _given_names(lists, names)
    folders = [Path(folder) / part for part in parts] or [Path(folder)]
    for path in (Path(folder), *folders):
        check_is_free(path)
    prepared = prepare_values(tuner, name, {**condition, **lists})
    if not lists and any(value.shape[0] != 1 for value in prepared.values()):
        lengths = {n: value.shape[0] for n, value in prepared.items()}
        raise ConfigError(f"wanted a single condition, got {lengths} values")
    left = [n for n, path in enumerate(folders) if not (resume and is_whole(path))]
    done = len(folders) - len(left)
    exporter = _Exporter(model, name, include_head)
    with FolderWriter(_room(Path(folder), several=bool(lists))) as writer:
        for number, state in zip(left, exporter.states(prepared, left), strict=True):
            with writer.writing(folders[number]) as aside:
                save_file(state, aside / WEIGHTS, metadata={"format": "pt"})
                (aside / CONFIG).write_bytes(exporter.config_file())
            done += 1
            if progress is not None:
                progress(done, len(folders))
    return folders


def lora_of(
    model: nn.Module,
    condition: Mapping[str, Any],
    *,
    include_head: bool = True,
    adapter_name: str | None = None,
) -> tuple[LoraConfig, dict[str, Tensor]]:
    """The LoRA of a condition in memory: what `export_lora` writes.

    Raises:
        ConfigError: There is no LoRA equal to the adapter; the message says why.
        ConditionError: The condition is missing or out of range.
    """
    tuner: Any = conditioning_of(model).tuner
    name = _adapter(tuner, adapter_name)
    exporter = _Exporter(model, name, include_head)
    weights = materialise(tuner, name, condition, with_head=include_head)
    state = exporter.state(weights)
    return exporter.config(weights), state


class _Exporter:
    """The LoRAs of one adapter; what is the same for all conditions is found once.

    Args:
        model: The model.
        adapter_name: The adapter.
        include_head: Whether the head belongs to them.
    """

    def __init__(self, model: nn.Module, adapter_name: str, include_head: bool) -> None:
        self.tuner: Any = conditioning_of(model).tuner
        self.adapter_name = adapter_name
        self.include_head = include_head
        self.saved = _saved_modules(model, adapter_name) if include_head else {}
        self._config_file: bytes | None = None

    def states(
        self, prepared: Mapping[str, Tensor], rows: Sequence[int]
    ) -> Iterator[dict[str, Tensor]]:
        """The tensors of some rows of conditions, written in blocks."""
        block = max(1, BLOCK_BYTES // self._bytes_per_row())
        for start in range(0, len(rows), block):
            chosen = list(rows[start : start + block])
            some = {name: value[chosen] for name, value in prepared.items()}
            written = materialise_rows(
                self.tuner, self.adapter_name, some, with_head=self.include_head
            )
            # What depends on no condition is the same for all.
            written = written if some else repeat(next(written), len(chosen))
            for weights in written:
                if self._config_file is None:
                    self._config_file = _as_file(self.config(weights))
                yield self.state(weights)

    def config_file(self) -> bytes:
        """The configuration as PEFT writes it; known when the first tensors are."""
        assert self._config_file is not None  # noqa: S101 - for the type checker
        return self._config_file

    def config(self, weights: Materialised) -> LoraConfig:
        """The configuration, which is the same for all conditions."""
        ours, tuner = self.tuner.peft_config[self.adapter_name], self.tuner
        if not weights.lora:
            raise ConfigError(
                f"adapter {self.adapter_name!r} adapts no linear module, so there is no LoRA to "
                "write"
            )
        names = _first_names(_with_head(self.saved, weights))
        modules = sorted(set(ours.modules_to_save or []) & names) or None
        # PEFT looks for the head of a classifier in every folder that says it is one.
        headless = not self.include_head and trained_head(tuner.model, ours.task_type) is not None
        return LoraConfig(
            task_type=None if headless else ours.task_type,
            base_model_name_or_path=ours.base_model_name_or_path,
            inference_mode=True,
            target_modules=sorted(weights.lora),
            modules_to_save=modules,
            # GPT-2's Conv1D stores its weight the other way round.
            fan_in_fan_out=any(hasattr(_base(tuner.model, path), "nf") for path in weights.lora),
            **_ranks(weights),
        )

    def state(self, weights: Materialised) -> dict[str, Tensor]:
        """The tensors of one condition, by the names that PEFT gives them."""
        state = {f"{PREFIX}{path}.lora_A.weight": lora.a for path, lora in weights.lora.items()}
        state |= {f"{PREFIX}{path}.lora_B.weight": lora.b for path, lora in weights.lora.items()}
        state |= _with_head(self.saved, weights)
        return {key: value.detach().cpu().contiguous() for key, value in state.items()}

    def _bytes_per_row(self) -> int:
        spec = self.tuner.network(self.adapter_name).spec
        shapes = [s for g in spec.groups for p in g.placements for s in p.shapes.values()]
        return 4 * max(1, sum(math.prod(shape) for shape in shapes))


def _adapter(tuner: Any, name: str | None) -> str:
    if name is None and len(tuner.active_adapters) != 1:
        raise ConfigError(
            f"name the adapter to export: active are {', '.join(tuner.active_adapters) or 'none'}"
        )
    return name or tuner.active_adapters[0]


def _room(folder: Path, *, several: bool) -> Path:
    """Where folders are written aside: what is made anew is moved there from without."""
    return folder if several or folder.exists() else folder.parent


def _as_file(config: LoraConfig) -> bytes:
    with TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        return (Path(folder) / CONFIG).read_bytes()


def _ranks(weights: Materialised) -> dict[str, Any]:
    """Ranks as PEFT writes them; the scale is in B already, so alpha is the rank everywhere."""
    ranks = {path: lora.a.shape[0] for path, lora in weights.lora.items()}
    largest = max(ranks.values())
    smaller = {path: rank for path, rank in ranks.items() if rank != largest}
    return {
        "r": largest,
        "lora_alpha": largest,
        "rank_pattern": smaller,
        "alpha_pattern": dict(smaller),
    }


def _saved_modules(model: nn.Module, adapter_name: str) -> dict[str, Tensor]:
    """What PEFT saves beside the network: the head, and other modules that are trained whole."""
    state = get_peft_model_state_dict(model, adapter_name=adapter_name, save_embedding_layers=False)
    return {key: value for key, value in state.items() if "hyperadapter_" not in key}


def _with_head(saved: dict[str, Tensor], weights: Materialised) -> dict[str, Tensor]:
    saved = dict(saved)
    for layer in weights.head:
        key = f"{PREFIX}{layer.name}"
        if f"{key}.weight" not in saved:
            raise ConfigError(
                f"the condition changes {layer.name}, which is not among the modules that are "
                "saved; name it in modules_to_save, or export with include_head=False"
            )
        saved[f"{key}.weight"] = layer.weight
        if layer.bias is not None:
            saved[f"{key}.bias"] = layer.bias
    return saved


def _first_names(saved: Mapping[str, Tensor]) -> set[str]:
    names = set()
    for key in saved:
        parts = key.removeprefix(PREFIX).split(".")
        names |= {".".join(parts[:end]) for end in range(1, len(parts))} | set(parts)
    return names


def _base(model: nn.Module, path: str) -> nn.Module:
    module: Any = model.get_submodule(path)
    return getattr(module, "base_layer", module)


def _is_list(condition: Condition | None, value: Any) -> bool:
    """Whether several values are given; a vector and attributes are lists even when single."""
    several = isinstance(value, Sequence) and not isinstance(value, str)
    if isinstance(condition, Lookup):
        if several:
            return all(isinstance(one, int) or getattr(one, "ndim", 1) == 0 for one in value)
        return getattr(value, "ndim", 0) == 1
    if several:
        return all(hasattr(one, "keys") or getattr(one, "ndim", 0) == 1 for one in value)
    return getattr(value, "ndim", 0) == 2


def _names(lists: Mapping[str, Sequence[Any]], declared: Mapping[str, Condition]) -> list[str]:
    """Names of sub-folders; none where a single condition is given."""
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1 or not all(lengths.values()):
        raise ConfigError(f"lists of one length, at least 1, are wanted, got {lengths}")
    rows = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
    names = [_folder_name(number, row, declared) for number, row in enumerate(rows)]
    if len(set(names)) < len(names):
        raise ConfigError(f"the same index stands twice in a list: {', '.join(names)}")
    return names


def _given_names(lists: Mapping[str, Sequence[Any]], names: Sequence[str]) -> list[str]:
    """Names of sub-folders that the caller gives; they must be names, and tell folders apart."""
    lengths = {name: len(values) for name, values in lists.items()}
    if not lists or set(lengths.values()) != {len(names)}:
        raise ConfigError(f"{len(names)} names are wanted in each list, got {lengths}")
    unfit = [name for name in names if name in ("", ".", "..") or Path(name).name != name]
    if unfit or len(set(names)) < len(names):
        raise ConfigError(f"names of folders must be different plain names, got {list(names)[:5]}")
    return list(names)


def _folder_name(number: int, row: Mapping[str, Any], declared: Mapping[str, Condition]) -> str:
    """The indices, where the values are indices; else the position in the list."""
    if not all(isinstance(declared.get(name), Lookup) for name in row):
        return str(number)
    return "-".join(str(int(value)) for value in row.values())
