"""A comparison of methods as a page: Markdown, and HTML without anything from elsewhere."""

import html as escaping
import re
from collections.abc import Mapping
from typing import Any

from hyperadapters.evaluation import BETTER
from hyperadapters.experiments.comparison import BASELINES, LEAST_ROWS, NAMES, Cell, Table

ARROWS = {"higher": " ↑", "lower": " ↓", "neither": ""}
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
    if record["settings"]:
        changed = ", ".join(f"{name}={value}" for name, value in record["settings"].items())
        lines.append(f"- settings for all methods: {changed}")
    lines.append("- versions: " + ", ".join(f"{name} {v}" for name, v in versions.items()))
    if record["command"]:
        lines.append(f"- made by `{record['command']}`")
    for name, reason in record.get("failed", {}).items():
        lines.append(f"- failed: {name}: {reason}")
    return lines


def _small_spread(value: str) -> str:
    return re.sub("± ([0-9.]+)", r"<small>± \1</small>", value)


STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem}"
    "div{overflow-x:auto}small{opacity:.7;font-weight:normal}"
    "table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}"
    "th,td{padding:.3rem .5rem;border-bottom:1px solid #8884;text-align:right;white-space:nowrap}"
    "th{white-space:normal;vertical-align:bottom}th:first-child,td:first-child{text-align:left}"
    "code,pre{font-size:13px}pre{overflow-x:auto}:root{color-scheme:light dark}"
)


def html(table: Table, record: Mapping[str, Any]) -> str:
    """The same as a page of its own, without anything from elsewhere."""
    escape = escaping.escape
    main, more = _tables(table, "<b>{}</b>")
    further = f"<h2>{FURTHER_TITLE}</h2>{_rows(more)}" if more else ""
    first, *rest = [line for line in _notes(table.split, record) if line]
    notes = "".join(f"<li>{escape(line.removeprefix('- '))}</li>" for line in rest)
    notes = re.sub("`([^`]*)`", r"<code>\1</code>", notes)
    commands = "\n".join(escape(c) for c in record["cells"].values() if c)
    cells = f"<h2>Each cell by itself</h2><pre>{commands}</pre>" if commands else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Methods side by side</title><style>{STYLE}</style></head><body>"
        f"<h1>Methods side by side</h1>{_rows(main)}<p>{escape(first)}</p><ul>{notes}</ul>"
        f"{further}{cells}"
        "</body></html>\n"
    )


def _rows(lines: Lines) -> str:
    """A table of HTML; the cells hold no text of users but names of methods."""
    head = "".join(f"<th>{escaping.escape(name)}</th>" for name in lines[0])
    body = "".join(
        "<tr>"
        + "".join(
            f"<td>{value}</td>" for value in [escaping.escape(name), *map(_small_spread, values)]
        )
        + "</tr>\n"
        for name, *values in lines[1:]
    )
    return f"<div><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
