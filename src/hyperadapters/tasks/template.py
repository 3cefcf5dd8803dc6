"""Templates over columns: ``"question: {question} context: {context}"``.

A field is the plain name of a column. Nothing is evaluated: no attributes, no items, no formats, so
that a template from a stranger's file can do no more than place texts beside each other. What a
cell holds is never read as a template.
"""

import string
from collections.abc import Mapping
from functools import lru_cache

from hyperadapters.errors import ConfigError

# The text before a field, and the field; the last one may have no field.
Piece = tuple[str, str | None]


@lru_cache(maxsize=512)
def pieces(template: str) -> tuple[Piece, ...]:
    """The template in pieces, each some text and the field that follows it.

    Raises:
        ConfigError: A brace is open, or a field is not the plain name of a column.
    """
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(f"the template {template!r} cannot be read: {error}") from None
    found: list[Piece] = []
    for text, name, form, conversion in parsed:
        if name is not None:
            _check_field(template, name, bool(form) or bool(conversion))
        found.append((text, name))
    return tuple(found)


def fields(template: str) -> tuple[str, ...]:
    """The columns that a template needs, each once, in the order in which they occur."""
    return tuple(dict.fromkeys(name for _, name in pieces(template) if name is not None))


def fill(template: str, cells: Mapping[str, str]) -> str:
    """The template with every field replaced by its cell.

    Raises:
        KeyError: A cell is missing.
    """
    return "".join(text if name is None else text + cells[name] for text, name in pieces(template))


def _check_field(template: str, name: str, formatted: bool) -> None:
    plain = name.strip() == name and name and not name.isdigit() and not set(name) & set("[].{}!:")
    if plain and not formatted:
        return
    shown = name or "{}"
    raise ConfigError(
        f"the template {template!r} has the field {shown!r}: a field must be the plain name of a"
        " column, as {sentence}; attributes, items and formats are not allowed (double the braces"
        " that should stand as they are)"
    )
