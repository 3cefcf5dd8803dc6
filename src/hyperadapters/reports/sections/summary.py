"""What is reported, and the few numbers to know first."""

from hyperadapters.evaluation import BETTER
from hyperadapters.reports.markup import (
    Markup,
    counted,
    element,
    escaped,
    interval,
    number,
    paragraph,
)
from hyperadapters.reports.names import ARROWS, NAMES
from hyperadapters.reports.picture import Section
from hyperadapters.reports.source import Source
from hyperadapters.reports.statistics import mean_of
from hyperadapters.tables.frames import column_of
from hyperadapters.tables.simulated import is_simulated

FIRST = ("nll", "accuracy", "macro_f1", "annotator_macro_f1", "minority_accuracy", "mae")
"""Metrics at the top."""


def summary(source: Source) -> Section:
    """What is reported, and the main scores of the method that is looked at closely."""
    record, rows = source.run.record, source.predictions_of(source.method)
    seeds = len(source.folder.of(source.method))
    n_people, n_texts = (int(column_of(rows, n).nunique()) for n in ("annotator", "text_id"))
    what = (
        f"Method {source.method} on {record.get('backbone', 'no backbone')}, split {source.split}: "
        f"{counted(len(rows), 'answer')} by {counted(n_people, 'annotator')} "
        f"to {counted(n_texts, 'text')}, {counted(seeds, 'seed')}."
    )
    about = "A prediction is what a model expects a person to say. It is not that person's opinion."
    if is_simulated(set(column_of(rows, "annotator"))):
        invented = element("strong", "Simulated data: these people are invented. ")
        parts = [paragraph(invented, about), paragraph(what)]
    else:
        parts = [paragraph(what, " ", about)]
    if len(source.methods) > 1:
        how = "that was chosen" if source.wanted_method else f"with the lowest {NAMES['nll']}"
        parts.append(
            paragraph(
                f"{len(source.methods)} methods are compared. What follows looks closely at the "
                f"one {how}, {source.method}, beside {source.baseline}."
            )
        )
    tiles = [_tile(source, metric) for metric in FIRST if metric in source.metrics]
    parts.append(element("dl", *tiles, class_="tiles"))
    parts.append(
        paragraph(
            "Intervals hold 95 % of what other texts, drawn like these, would give. ↑ means that "
            "more is better, ↓ that less is."
        )
    )
    return Section("summary", "In short", parts)


def _tile(source: Source, metric: str) -> Markup:
    values = source.values(metric, source.method)
    low, high = (mean_of(values, name) for name in ("low", "high"))
    ends = element("small", interval(low, high))
    name = escaped(NAMES[metric] + ARROWS[BETTER[metric]])
    value = number(source.mean(metric, source.method))
    return element("div", element("dt", name), element("dd", value, ends))
