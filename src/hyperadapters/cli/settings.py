"""`--config FILE.yaml` and `--set key=value`, put together."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hyperadapters.errors import ConfigError

if TYPE_CHECKING:
    from hyperadapters.data import SplitBy

Config = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file of settings.", metavar="YAML", show_default=False),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A setting, as epochs=2; may be given several times and wins over --config. "
        "`hyperadapters train --list-settings` shows all.",
        metavar="KEY=VALUE",
        show_default=False,
    ),
]


def read_settings(config: Path | None, assignments: Sequence[str] | None) -> dict[str, Any]:
    """Settings of a YAML file, overwritten by those of the command line.

    Raises:
        ConfigError: The file cannot be read or is not a flat table; an assignment has no ``=``.
    """
    settings = _read_yaml(config) if config else {}
    for assignment in assignments or ():
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set wants key=value, got {assignment!r}")
        settings[key.strip()] = value.strip()
    return settings


def add_attributes(settings: dict[str, Any], names: Sequence[str] | None) -> None:
    """Note the columns that --attribute names among the settings.

    Raises:
        ConfigError: A name cannot be written there.
    """
    for name in names or ():
        if "," in name or not name.strip():
            raise ConfigError(f"--attribute wants the name of a column, got {name!r}")
    if names:
        settings["attributes"] = ",".join(names)


def split_by(by: str, fold: str, folds: str) -> "SplitBy":
    """--split-by, --fold and --folds, the latter a number or the name of a column.

    Raises:
        ConfigError: There is no such way, or no such fold.
    """
    from hyperadapters.data import SplitBy

    return SplitBy(by, fold, int(folds) if folds.isdecimal() else folds)


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--config {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(f"--config {path} is not YAML: {first}") from error
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise ConfigError(f"--config {path} must hold lines of the form `key: value`")
    return data
