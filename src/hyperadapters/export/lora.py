"""What the hypernetwork writes for one condition, as a LoRA that PEFT loads by itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn

from hyperadapters.conditions import Condition, Lookup
from hyperadapters.errors import ConfigError
from hyperadapters.tuner.conditioning import conditioning_of
from hyperadapters.tuner.head import trained_head
from hyperadapters.tuner.materialise import Materialised, materialise

WEIGHTS = "adapter_model.safetensors"
# Where PEFT puts a model inside of a `PeftModel`.
PREFIX = "base_model.model."


def export_lora(
    model: nn.Module,
    condition: Mapping[str, Any],
    folder: str | Path,
    *,
    include_head: bool = True,
    adapter_name: str | None = None,
) -> list[Path]:
    """Write the adapter of a condition as an ordinary PEFT LoRA folder.

    `PeftModel.from_pretrained(backbone, folder)` and `backbone.load_adapter(folder)` give the
    logits that `model` gives under this condition.

    Args:
        model: A `PeftModel` with a hyperadapter.
        condition: Keyword → value: an index, a mixture ``{index: weight}``, a vector, attributes.
            Several indices of a `Lookup` write one sub-folder for each, named by the index (the
            other conditions serve them all).
        folder: Where to write; made if it is not there.
        include_head: Whether to write the trained classification head too. Some servers refuse
            `modules_to_save`; without it the LoRA alone is written, and the head is the caller's.
        adapter_name: Which adapter; by default the active one.

    Returns:
        The folders written.

    Raises:
        ConfigError: There is no LoRA equal to the adapter; the message says why.
        ConditionError: The condition is missing or out of range.
    """
    tuner: Any = conditioning_of(model).tuner
    declared = tuner.network(adapter_name or tuner.active_adapters[0]).spec.conditions
    lists = {n: list(v) for n, v in condition.items() if _is_list(declared.get(n), v)}
    if not lists:
        return [_write(model, condition, Path(folder), include_head, adapter_name)]
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1 or not all(lengths.values()):
        raise ConfigError(f"lists of one length, at least 1, are wanted, got {lengths}")
    rows = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
    folders = [_folder_name(number, row, declared) for number, row in enumerate(rows)]
    if len(set(folders)) < len(folders):
        raise ConfigError(f"the same index stands twice in a list: {', '.join(folders)}")
    return [
        _write(model, {**condition, **row}, Path(folder) / name, include_head, adapter_name)
        for name, row in zip(folders, rows, strict=True)
    ]


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
    if adapter_name is None and len(tuner.active_adapters) != 1:
        raise ConfigError(
            f"name the adapter to export: active are {', '.join(tuner.active_adapters) or 'none'}"
        )
    name = adapter_name or tuner.active_adapters[0]
    weights = materialise(tuner, name, condition, with_head=include_head)
    if not weights.lora:
        raise ConfigError(f"adapter {name!r} adapts no linear module, so there is no LoRA to write")
    ours: Any = tuner.peft_config[name]
    saved = _saved_modules(model, name) if include_head else {}
    saved = _with_head(saved, weights)
    modules = sorted(set(ours.modules_to_save or []) & _first_names(saved)) or None
    # PEFT looks for the head of a classifier in every folder that says it is one.
    headless = not include_head and trained_head(tuner.model, ours.task_type) is not None
    config = LoraConfig(
        task_type=None if headless else ours.task_type,
        base_model_name_or_path=ours.base_model_name_or_path,
        inference_mode=True,
        target_modules=sorted(weights.lora),
        modules_to_save=modules,
        # GPT-2's Conv1D stores its weight the other way round.
        fan_in_fan_out=any(hasattr(_base(tuner.model, path), "nf") for path in weights.lora),
        **_ranks(weights),
    )
    state = {f"{PREFIX}{path}.lora_A.weight": lora.a for path, lora in weights.lora.items()}
    state |= {f"{PREFIX}{path}.lora_B.weight": lora.b for path, lora in weights.lora.items()}
    state |= saved
    return config, {key: value.detach().cpu().contiguous() for key, value in state.items()}


def _write(
    model: nn.Module,
    condition: Mapping[str, Any],
    folder: Path,
    include_head: bool,
    adapter_name: str | None,
) -> Path:
    if in_the_way := next((p for p in (folder, *folder.parents) if p.is_file()), None):
        raise ConfigError(f"{in_the_way} is a file; wanted a folder")
    config, state = lora_of(model, condition, include_head=include_head, adapter_name=adapter_name)
    folder.mkdir(parents=True, exist_ok=True)
    # Written aside first, so that a failure leaves an adapter that was there as it was.
    with TemporaryDirectory(dir=folder, prefix=".export-") as aside:
        save_file(state, Path(aside) / WEIGHTS, metadata={"format": "pt"})
        config.save_pretrained(aside)
        for file in sorted(Path(aside).iterdir()):
            file.replace(folder / file.name)
    return folder


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


def _folder_name(number: int, row: Mapping[str, Any], declared: Mapping[str, Condition]) -> str:
    """The indices, where the values are indices; else the position in the list."""
    if not all(isinstance(declared.get(name), Lookup) for name in row):
        return str(number)
    return "-".join(str(int(value)) for value in row.values())
