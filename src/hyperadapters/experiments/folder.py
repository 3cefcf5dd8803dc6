"""What a run folder holds, and how its small files are read and written."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperadapters.errors import RunError


@dataclass(frozen=True)
class RunFolder:
    """Names of everything a run writes.

    A run folder is a PEFT adapter folder at the same time: `adapter_config.json` and
    `adapter_model.safetensors` lie beside the files named here.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def record(self) -> Path:
        """Method, settings, versions, seed and fingerprint of the data."""
        return self.path / "run.json"

    @property
    def labels(self) -> Path:
        """The label space."""
        return self.path / "labels.json"

    @property
    def vocabulary(self) -> Path:
        """The annotators, in the order of their indices."""
        return self.path / "vocabulary.json"

    @property
    def people(self) -> Path:
        """The attributes of these annotators, where the method is told any."""
        return self.path / "people.json"

    @property
    def counts(self) -> Path:
        """What a counting method counted."""
        return self.path / "counts.json"

    @property
    def log(self) -> Path:
        """One line per evaluation on dev."""
        return self.path / "log.jsonl"

    @property
    def checkpoint(self) -> Path:
        """Where an unfinished training stands."""
        return self.path / "checkpoint.safetensors"

    @property
    def predictions(self) -> Path:
        """PREDICTIONS of the dev and test splits."""
        return self.path / "predictions.parquet"

    @property
    def scores(self) -> Path:
        """SCORES of these predictions."""
        return self.path / "scores.json"

    @property
    def posterior(self) -> Path:
        """How sure the vectors are of annotators who came after training."""
        return self.path / "posterior.safetensors"

    @property
    def prior(self) -> Path:
        """How far people are from the population, where training told."""
        return self.path / "prior.safetensors"

    @property
    def set_encoder(self) -> Path:
        """What gives newcomers a vector in one pass, where it was asked for."""
        return self.path / "set_encoder.safetensors"

    def create(self) -> None:
        """Make the folder.

        Raises:
            RunError: Something is there already, or it cannot be made.
        """
        refuse_existing(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.path} cannot be made: {error.strerror}") from error

    def remove(self) -> None:
        """Delete the folder and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def refuse_existing(path: Path) -> None:
    """Outputs never overwrite.

    Raises:
        RunError: There is a file of that name, or a folder that is not empty.
    """
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists():
        raise RunError(f"{path} exists; name another output, or remove it first")


def write_json(path: Path, data: Any) -> None:
    """Write JSON, replacing what was there in one step."""
    part = path.with_name(path.name + ".tmp")
    part.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        RunError: The file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path.parent} is not a run folder: it has no {path.name}") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
