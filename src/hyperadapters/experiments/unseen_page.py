"""Scores of people whom no method has seen, as Markdown: a table for every metric."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from hyperadapters.evaluation import BETTER
from hyperadapters.reports.names import ARROWS, NAMES

METRICS = ("nll", "macro_f1", "annotator_macro_f1")
COVERAGE = "rate_coverage"
"""Share of people whose rate of positive labels lies in its 90 % interval; no metric of labels."""


def unseen_table(scores: pd.DataFrame, about: Mapping[str, Any]) -> str:
    """A table of methods and k for each metric: means over seeds, and spreads where there are.

    Args:
        scores: SCORES with slices ``k=N``.
        about: `split`, `counts`, `least`, `n_people`, `n_rows`, `command`.
    """
    fold = about["split"]["fold"]
    lines = [
        "# People whom no method has seen",
        "",
        f"{about['n_people']:,} annotators of fold {fold}, {about['n_rows']:,} ratings of texts of "
        "test, by how many of their labels are known. All have at least "
        f"{about['least']}; who has fewer than k gives all. Mean ± standard deviation over seeds.",
    ]
    heads = [f"k={k}" for k in about["counts"]]
    methods = list(dict.fromkeys(scores["method"]))
    for metric in (*METRICS, COVERAGE):
        rows = scores.loc[scores["metric"] == metric]
        if not len(rows):
            continue
        lines += ["", f"**{_title(metric)}**", ""]
        lines += [_line(["method", *heads]), "|" + "---|" * (len(heads) + 1)]
        for method in methods:
            of = rows.loc[rows["method"] == method]
            lines.append(_line([method, *(_cell(of.loc[of["slice"] == k]) for k in heads)]))
    if about["command"]:
        lines += ["", f"Made by `{about['command']}`."]
    return "\n".join([*lines, ""])


def _title(metric: str) -> str:
    if metric == COVERAGE:
        return "people whose rate of positive labels lies in its 90 % interval"
    return f"{NAMES[metric]}{ARROWS[BETTER[metric]]}"


def _cell(rows: pd.DataFrame) -> str:
    values = rows["value"].dropna()
    if not len(values):
        return "-"
    spread = f" ± {values.std():.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
