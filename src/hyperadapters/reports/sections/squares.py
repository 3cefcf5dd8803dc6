"""People × texts: what everyone is predicted to say, beside what they said."""

import pandas as pd

from hyperadapters.reports.figures.grids import draw_squares
from hyperadapters.reports.markup import percent
from hyperadapters.reports.picture import Picture, Section
from hyperadapters.reports.source import Source
from hyperadapters.tables.frames import column_of

MOST_TEXTS, MOST_PEOPLE = 60, 40
_TITLE = "People and texts"


def squares(source: Source) -> Section:
    """Two squares in the same order: predicted and given."""
    rows = source.predictions_of(source.method)
    if rows.empty:
        what = f"{_TITLE}: no row of split {source.split} has a label."
        return Section("squares", _TITLE, missing=[what])
    amount = source.amount
    rows = rows.assign(
        expected=amount.of_predictions(rows), given=amount.of_labels(column_of(rows, "label"))
    )
    # Those with most answers: of a sparse table a random part would be nearly empty.
    people = list(column_of(rows, "annotator").value_counts().index[:MOST_PEOPLE])
    part = rows.loc[rows["annotator"].isin(people)]
    texts = list(column_of(part, "text_id").value_counts().index[:MOST_TEXTS])
    part = part.loc[part["text_id"].isin(texts)]
    expected = part.pivot_table(index="annotator", columns="text_id", values="expected")
    order = (
        expected.mean(axis=1).sort_values(kind="stable").index,
        expected.mean(axis=0).sort_values(kind="stable").index,
    )
    given = part.pivot_table(index="annotator", columns="text_id", values="given")
    told = (
        f"A line for each of the {len(order[0])} annotators with most answers, a column for each "
        f"of {len(order[1])} texts, both sorted by the predicted mean; empty where nobody was "
        f"asked ({percent(1 - len(part) / expected.size)})."
    )
    label = amount.name.replace("rate of", "is")
    pictures = [
        _picture("squares-predicted", "Predicted", expected.loc[order], amount.range, label, told),
        _picture(
            *("squares-given", "Given", given.loc[order], amount.range, label),
            "What the same people really said of the same texts, in the same order.",
        ),
    ]
    return Section("squares", _TITLE, [pictures])


def _picture(
    name: str,
    title: str,
    values: pd.DataFrame,
    limits: tuple[float, float],
    label: str,
    caption: str,
) -> Picture:
    height = 1.2 + 0.1 * max(len(values), 12)
    return Picture(
        name,
        title,
        caption,
        values.reset_index(),
        lambda axes: draw_squares(axes, values, limits, label, name == "squares-predicted"),
        height,
    )
