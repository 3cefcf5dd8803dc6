"""Pieces of HTML. Whatever is not `Markup` is text from outside and is escaped."""

import html
import math
import re
from collections.abc import Iterable, Sequence

MOST_CHARACTERS = 280
"""Longer texts are cut in tables."""

# No HTML and no XML may hold these, however they are written.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Markup(str):
    """HTML that was made here, and may go into the page as it is."""

    __slots__ = ()


Piece = str | Markup


def plain(text: object) -> str:
    """Text without characters that no page can hold."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", str(text))


def escaped(piece: object) -> Markup:
    """A piece of HTML: what is text already is escaped."""
    return piece if isinstance(piece, Markup) else Markup(html.escape(plain(piece)))


def joined(pieces: Iterable[object], between: str = "") -> Markup:
    """Pieces one after the other."""
    return Markup(html.escape(between).join(escaped(piece) for piece in pieces))


def element(tag: str, *content: object, **attributes: str) -> Markup:
    """An element; ``class_`` stands for ``class`` and underscores for hyphens."""
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(plain(value))}"'
        for name, value in attributes.items()
    )
    return Markup(f"<{tag}{named}>{joined(content)}</{tag}>")


def paragraph(*content: object) -> Markup:
    """A paragraph."""
    return element("p", *content)


def quoted(text: object, most: int = MOST_CHARACTERS) -> Markup:
    """Somebody's words: cut where they are long, and unable to turn the words around them."""
    shown = plain(text)
    return element("bdi", shown if len(shown) <= most else shown[: most - 1] + "…")


def code(text: object) -> Markup:
    """Something to type."""
    return element("code", text)


def items(lines: Iterable[object]) -> Markup:
    """A list."""
    return element("ul", *(element("li", line) for line in lines))


def table(
    caption: str, heads: Sequence[object], rows: Iterable[Sequence[object]], *, words: int = 1
) -> Markup:
    """A table that a phone can scroll and a screen reader can read.

    Args:
        caption: What it shows.
        heads: Names of the columns.
        rows: Cells; the first of each row is its name.
        words: How many of the first columns hold words, which stand to the left.
    """
    sides = ["left" if i < words else "right" for i in range(len(heads))]
    head = element(
        "tr",
        *(element("th", h, scope="col", class_=s) for h, s in zip(heads, sides, strict=True)),
    )
    body = []
    for name, *cells in rows:
        first = element("th", name, scope="row", class_="left")
        rest = (element("td", c, class_=s) for c, s in zip(cells, sides[1:], strict=True))
        body.append(element("tr", first, *rest))
    whole = element(
        "table", element("caption", caption), element("thead", head), element("tbody", *body)
    )
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def number(value: float, digits: int = 3) -> str:
    """A number, or a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def interval(low: float, high: float, digits: int = 3) -> str:
    """The ends of an interval, or nothing."""
    return "" if math.isnan(low) else f"{low:.{digits}f} to {high:.{digits}f}"


def percent(share: float, digits: int = 0) -> str:
    """A share in per cent, or a dash where there is none."""
    return "-" if math.isnan(share) else f"{100 * share:.{digits}f} %"


def counted(n: int, one: str, many: str = "") -> str:
    """As ``1 text`` and ``1,200 texts``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
