"""How a condition becomes a vector, as data: values that `adapter_config.json` stores."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from hyperadapters.conditions.attributes import Attributes
from hyperadapters.conditions.instance import Instance
from hyperadapters.conditions.lookup import Lookup
from hyperadapters.conditions.vector import Vector
from hyperadapters.errors import ConfigError

Condition: TypeAlias = Lookup | Attributes | Vector | Instance

_KINDS: dict[Any, type[Condition]] = {
    "lookup": Lookup,
    "attributes": Attributes,
    "vector": Vector,
    "instance": Instance,
}


def condition_from_dict(data: Mapping[str, Any]) -> Condition:
    """The condition that `to_dict` wrote.

    Raises:
        ConfigError: The kind is not known, or a field is missing, superfluous or unusable.
    """
    fields = dict(data)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        known = ", ".join(repr(name) for name in _KINDS)
        raise ConfigError(f"unknown kind of condition {kind!r}; known: {known}")
    try:
        return _KINDS[kind](**fields)
    except TypeError as error:
        raise ConfigError(f"condition {dict(data)}: {error}") from error
