"""YAML read with care: what looks like a word stays a word, and nothing is said twice.

`yes`, `no`, `on` and `off` are words (label words, more often than not); only `true` and `false`
are truth values. A key that stands twice in one table is an error, where plain YAML keeps the last.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from hyperadapters.errors import ConfigError


def read_yaml(path: Path) -> Any:
    """What a YAML file holds; None where it is empty.

    Raises:
        ConfigError: The file cannot be read, is not UTF-8, is not YAML, or has a key twice.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; name a YAML file in it") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        what = f"byte {error.start} (0x{error.object[error.start]:02x}) cannot be decoded"
        raise ConfigError(f"{path}: is not UTF-8: {what}; save the file as UTF-8") from None
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {_reason(error)}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None


class _Loader(yaml.SafeLoader):
    """The safe loader, with fewer truth values and no key twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for key_node in own:
            key: Any = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"'{key}' occurs twice", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        # Dates would turn ids such as 2020-01-01 into objects.
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def _reason(error: yaml.YAMLError) -> str:
    """One line with the place."""
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    mark = getattr(error, "problem_mark", None)
    place = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
    twice = problem.endswith("occurs twice")
    return f"{problem}{place}" if twice else f"is not YAML: {problem}{place}"
