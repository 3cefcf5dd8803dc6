"""A run folder with further annotators, everything about the others copied bit for bit."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from hyperadapters.adaptation import PersonalVectors, Posterior
from hyperadapters.conditions import Vocabulary
from hyperadapters.data.people import People
from hyperadapters.errors import RunError
from hyperadapters.experiments.folder import RunFolder, read_json, refuse_existing, write_json
from hyperadapters.experiments.record import RunRecord
from hyperadapters.methods.classifier import CONDITION
from hyperadapters.tuner.card import write_usage
from hyperadapters.tuner.config import HyperAdapterConfig

ADAPTER, CONFIG = "adapter_model.safetensors", "adapter_config.json"
_PREFIX = "hyperadapter_network."


@dataclass(frozen=True)
class Growth:
    """What is to be different in the new folder.

    Attributes:
        vocabulary: All annotators, those who were there in their places.
        names: Whose vectors are new.
        vectors: These vectors, shape ``(names, width)``.
        posterior: How sure they are, and those of people who were adapted to before.
        record: The new `run.json`.
        people: What is known of the annotators, where the method is told attributes.
    """

    vocabulary: Vocabulary
    names: Sequence[str]
    vectors: Float[Tensor, "names width"]
    posterior: Posterior
    record: RunRecord
    people: People | None


def write_grown(
    source: RunFolder, target: RunFolder, vectors: PersonalVectors, new: Growth
) -> None:
    """Copy a run folder and put the new people into the copy.

    The folder is made beside its place and moved there when it is whole.

    Args:
        source: The folder of the run.
        target: The new folder.
        vectors: The tables of the run.
        new: What is different.

    Raises:
        RunError: The target is there already, or something cannot be read or written.
    """
    refuse_existing(target.path)
    part = RunFolder(target.path.with_name(f".{target.path.name}.part"))
    part.remove()
    try:
        target.path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source.path, part.path, ignore=_unneeded)
        _write_tensors(source.path / ADAPTER, part.path / ADAPTER, vectors, new)
        _write_config(part.path, len(new.vocabulary), centred=_are_centred(vectors))
        write_json(part.vocabulary, new.vocabulary.to_dict())
        if new.people is not None:
            write_json(part.people, new.people.to_dict())
        new.posterior.save(part.posterior)
        write_json(part.record, new.record.to_dict())
        if target.path.is_dir():
            target.path.rmdir()
        part.path.rename(target.path)
    except OSError as error:
        reason = error.strerror or error
        raise RunError(f"{target.path} cannot be made: {reason}") from error
    finally:
        part.remove()


def _unneeded(folder: str, names: list[str]) -> set[str]:
    """What is written anew, or belongs to a training or a job under way."""
    rewritten = {ADAPTER, "posterior.safetensors", "checkpoint.safetensors"}
    return {name for name in names if name in rewritten or name.startswith(".")}


def _are_centred(vectors: PersonalVectors) -> bool:
    return all(table.centred for table in vectors.tables.values())


def _write_tensors(source: Path, target: Path, vectors: PersonalVectors, new: Growth) -> None:
    with safe_open(source, "pt") as file:
        about = file.metadata()
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    index = torch.from_numpy(new.vocabulary.indices(new.names))
    rows = vectors.split(new.vectors)
    for name, table in vectors.tables.items():
        key = _key(tensors, f"{_PREFIX}{name}.vectors")
        old = tensors[key]
        grown = old.new_zeros(len(new.vocabulary), old.shape[1])
        grown[: len(old)] = old
        grown[index] = rows[name].to(old.dtype)
        tensors[key] = grown
        if not table.centred:
            # Otherwise the mean of all would move with the people who come.
            nobody = table.population().detach().to("cpu", old.dtype, copy=True)
            tensors[key.removesuffix("vectors") + "nobody"] = nobody.contiguous()
    save_file(tensors, target, about)


def _key(tensors: Mapping[str, Tensor], ending: str) -> str:
    found = [name for name in tensors if name.endswith(ending)]
    if len(found) != 1:
        raise RunError(f"{ADAPTER} has {len(found)} tensors {ending}, wanted one")
    return found[0]


def _write_config(folder: Path, size: int, *, centred: bool) -> None:
    config: dict[str, Any] = read_json(folder / CONFIG)
    lookup = config["conditions"][CONDITION]
    lookup["size"] = size
    if not centred:
        lookup["own_population"] = True
    text = json.dumps(config, indent=2, sort_keys=True)
    (folder / CONFIG).write_text(text, encoding="utf-8")
    read = HyperAdapterConfig.from_pretrained(str(folder))
    conditions = read.declared  # pyright: ignore[reportAttributeAccessIssue]
    write_usage(folder, conditions, read.task_type, read.base_model_name_or_path)
