"""Pictures to SVG and PNG, by Matplotlib, which is imported here and nowhere else."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hyperadapters.errors import ConfigError
from hyperadapters.reports.colours import LIGHT
from hyperadapters.reports.markup import Markup, element, plain
from hyperadapters.reports.picture import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 5.0
"""Inches: as wide as a phone can show with its labels still readable."""

_DPI = 200


def require_matplotlib() -> None:
    """Say at once what is missing.

    Raises:
        ConfigError: Matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        needs = "pip install 'hyperadapters[report]'"
        raise ConfigError(f"a report needs Matplotlib, which is missing; {needs}") from error


def to_bytes(picture: Picture, kind: str) -> bytes:
    """A picture as the content of a file.

    Args:
        picture: What to draw.
        kind: ``"svg"`` (text stays text) or ``"png"``.
    """
    out = io.BytesIO()
    with _style(picture):
        figure = _drawn(picture)
        # Without the date, so that the same numbers give the same file.
        metadata = {"Date": None} if kind == "svg" else None
        # An SVG stands on the page's own ground, whatever its colour.
        ground = "none" if kind == "svg" else LIGHT["paper"]
        figure.savefig(out, format=kind, dpi=_DPI, metadata=metadata, facecolor=ground)
    return out.getvalue()


def inline(picture: Picture) -> Markup:
    """A picture as an `svg` element whose colours follow the page, and whose names are its own."""
    svg = to_bytes(picture, "svg").decode()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    head, body = svg[: svg.index(">")], svg[svg.index(">") + 1 :].removesuffix("</svg>\n")
    box = re.search(r'viewBox="[^"]*"', head)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<[^>]*>", lambda tag: _of_page(tag[0], picture.name), body)
    label = f"{picture.title}. {picture.caption}"
    opening = element("svg", role="img", aria_label=label).removesuffix("></svg>")
    return Markup(f"{opening} {box[0] if box else ''}>{body}</svg>")


def _of_page(tag: str, picture: str) -> str:
    """A tag whose names are those of the picture, and whose colours are variables of the page."""
    tag = tag.replace("xlink:href=", "href=").replace(' id="', f' id="{picture}-')
    tag = re.sub(r'url\(#|href="#', lambda found: f"{found[0]}{picture}-", tag)
    for name, value in LIGHT.items():
        tag = re.sub(value, f"var(--{name})", tag, flags=re.IGNORECASE)
    return tag


@contextmanager
def _style(picture: Picture) -> Iterator[None]:
    import matplotlib

    settings: Any = _settings(picture)
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # A browser has other fonts for what ours lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def _settings(picture: Picture) -> dict[str, Any]:
    ink, soft, line = LIGHT["ink"], LIGHT["soft"], LIGHT["line"]
    return {
        "font.family": ["DejaVu Sans"],
        "font.size": 10.5,
        "axes.labelsize": 10.5,
        "xtick.labelsize": 9.5,
        "ytick.labelsize": 9.5,
        "legend.fontsize": 9.5,
        "legend.frameon": False,
        "text.color": ink,
        "text.parse_math": False,  # names and texts are not formulas
        "text.usetex": False,
        "axes.labelcolor": ink,
        "axes.edgecolor": soft,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": line,
        "grid.linewidth": 0.7,
        "xtick.color": soft,
        "ytick.color": soft,
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
        "figure.facecolor": LIGHT["paper"],
        "svg.fonttype": "none",
        "svg.hashsalt": picture.name,
        "path.simplify": True,
    }


def _drawn(picture: Picture) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, picture.height), layout="constrained")
    picture.draw(figure.add_subplot())
    return figure


def short(name: object, most: int = 22) -> str:
    """A name that fits beside an axis."""
    text = " ".join(plain(name).split())
    return text if len(text) <= most else text[: most - 1] + "…"
