"""A comparison of methods as a page: Markdown, and HTML without anything from elsewhere."""

import re
from collections.abc import Mapping
from typing import Any

from hyperadapters.evaluation import BETTER
from hyperadapters.experiments.comparison import BASELINES, LEAST_ROWS, Cell, Table
from hyperadapters.reports.markup import Markup, element, escaped, paragraph
from hyperadapters.reports.markup import table as table_of
from hyperadapters.reports.names import ARROWS, NAMES
from hyperadapters.reports.page import page

FURTHER_TITLE = "Further metrics"

Lines = list[list[str]]


def _tables(table: Table, bold: str) -> tuple[Lines, Lines]:
    """Lines of the first table and of the second one, the head being the first of each."""
    first = [_heads(table), *([name, *_values(table, name, bold)] for name in table.rows)]
    heads = ["method", *map(_head, table.further)]
    rest = [
        [name, *(_marked(row.cells[metric], bold) for metric in table.further)]
        for name, row in table.rows.items()
    ]
    return first, [heads, *rest] if table.further else []


def _heads(table: Table) -> list[str]:
    return [
        "method",
        *map(_head, table.metrics),
        *(f"helped / hurt against {baseline}" for baseline in _baselines(table)),
        *("parameters", "seconds", "seeds"),
    ]


def _head(metric: str) -> str:
    return NAMES[metric] + ARROWS[BETTER[metric]]


def _baselines(table: Table) -> list[str]:
    return [b for b in BASELINES if any(b in row.changed for row in table.rows.values())]


def _values(table: Table, name: str, bold: str) -> list[str]:
    row = table.rows[name]
    shares = [
        "{:.0%} / {:.0%}".format(*row.changed[b]) if b in row.changed else ""
        for b in _baselines(table)
    ]
    return [
        *(_marked(row.cells[metric], bold) for metric in table.metrics),
        *shares,
        *(f"{row.parameters:,}", f"{row.seconds:,.0f}", str(len(row.seeds))),
    ]


def _marked(cell: Cell, bold: str) -> str:
    if cell.is_best:
        return bold.format(cell.text)
    return f"{cell.text} ≈" if cell.is_near_best else cell.text


def markdown(table: Table, record: Mapping[str, Any]) -> str:
    """The table, and below it how it was made.

    Args:
        table: What was found.
        record: What `compare.json` says.
    """
    first, rest = _tables(table, "**{}**")
    lines = [*_grid(first), "", *_notes(table.split, record)]
    if rest:
        lines += ["", f"{FURTHER_TITLE}:", "", *_grid(rest)]
    if any(record["cells"].values()):
        lines += ["", "Each cell by itself:", "", "```"]
        lines += [command for command in record["cells"].values() if command]
        lines.append("```")
    return "\n".join(lines) + "\n"


def _grid(lines: Lines) -> list[str]:
    head, *rest = [f"| {' | '.join(cells)} |" for cells in lines]
    return [head, f"|{'---|' * len(lines[0])}", *rest]


def _notes(split: str, record: Mapping[str, Any]) -> list[str]:
    data, versions = record["data"], record["versions"]
    lines = [
        f"Split {split}; mean ± standard deviation over seeds. The best mean is bold; ≈ marks what "
        "may be as good: the 95 % interval of its paired difference from the best, over texts and "
        f"annotators, holds zero. Helped and hurt: people with at least {LEAST_ROWS} rows whose "
        "nll is better, or worse (seed by seed). Seconds are of one run, prediction and scores "
        "included.",
        "",
        f"- data: {data['rows']:,} ratings of {data['texts']:,} texts by {data['annotators']:,} "
        f"annotators, SHA-256 {data['sha256'][:12]}",
        f"- backbone: {record['backbone']}",
    ]
    settings = {"all methods": record["settings"], **record.get("settings_of", {})}
    for whose, of in settings.items():
        if of:
            changed = ", ".join(f"{name}={value}" for name, value in of.items())
            lines.append(f"- settings of {whose}: {changed}")
    lines.append("- versions: " + ", ".join(f"{name} {v}" for name, v in versions.items()))
    if record["command"]:
        lines.append(f"- made by `{record['command']}`")
    for name, reason in record.get("failed", {}).items():
        lines.append(f"- failed: {name}: {reason}")
    return lines


def html(table: Table, record: Mapping[str, Any]) -> str:
    """The same as a page of its own, without anything from elsewhere."""
    main, more = _tables(table, "<b>{}</b>")
    first, *rest = [line for line in _notes(table.split, record) if line]
    body = [_rows(main, f"Scores on split {table.split}"), paragraph(first)]
    body.append(element("ul", *(element("li", _note(line)) for line in rest)))
    if more:
        body += [element("h2", FURTHER_TITLE), _rows(more, FURTHER_TITLE)]
    if commands := "\n".join(c for c in record["cells"].values() if c):
        body += [element("h2", "Each cell by itself"), element("pre", commands, tabindex="0")]
    return page("Methods side by side", *body)


def _note(line: str) -> Markup:
    """A line of the notes; what stands between backquotes is code."""
    text = escaped(line.removeprefix("- "))
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", text))


def _small_spread(value: str) -> Markup:
    """A cell, which was made here and holds no text of users."""
    return Markup(re.sub("± ([0-9.]+)", r"<small>± \1</small>", value))


def _rows(lines: Lines, caption: str) -> Markup:
    heads, *rest = lines
    return table_of(caption, heads, ([name, *map(_small_spread, v)] for name, *v in rest))
