"""Texts on which people are predicted to differ most."""

from typing import Any

import numpy as np
import pandas as pd

from hyperadapters.reports.figures.people import draw_trend
from hyperadapters.reports.markup import Markup, element, joined, number, paragraph, quoted, table
from hyperadapters.reports.picture import Picture, Section
from hyperadapters.reports.source import Source
from hyperadapters.reports.statistics import rank_correlation
from hyperadapters.tables.frames import column_of

SHOWN = 12
MOST_DOTS = 1500
_SAME = 1e-9
_TITLE = "Contested texts"


def contested(source: Source) -> Section:
    """The sharpest predicted divides, and whether people really differ where it is predicted."""
    rows = source.predictions_of(source.method)
    texts = divides(source, rows) if len(rows) else pd.DataFrame()
    if texts.empty:
        what = f"{_TITLE}: no text has answers of two people."
        return Section("contested", _TITLE, missing=[what])
    if float(column_of(texts, "divide").max()) < _SAME:
        what = f"{_TITLE}: {source.method} says the same of everybody."
        return Section("contested", _TITLE, missing=[what])
    missing = []
    if source.texts is None:
        missing.append("The words of contested texts: name the ratings with --data FILE.")
    told = (
        "The divide of a text is the mean distance (total variation, 0 to 1) of each asked "
        "person's predicted distribution from their mean. Of every text: who is predicted "
        f"highest and lowest by {source.amount.name}, and what people said."
    )
    return Section(
        "contested",
        _TITLE,
        [paragraph(told), _table(source, rows, texts.head(SHOWN)), [_picture(texts)]],
        missing,
    )


def divides(source: Source, rows: pd.DataFrame) -> pd.DataFrame:
    """Texts with answers of two people or more, the sharpest predicted divide first.

    Args:
        source: Where they come from.
        rows: PREDICTIONS of one method and seed.

    Returns:
        Columns ``text_id, n, divide`` (predicted) and ``disagreement``: how often two of the
        labels that were given, drawn at random, differ.
    """
    amount = source.amount
    p = amount.probabilities(rows)
    text, names = pd.factorize(rows["text_id"])
    n = np.bincount(text)
    means = np.stack([np.bincount(text, column) / n[: len(names)] for column in p.T], axis=1)
    distance = 0.5 * np.abs(p - means[text]).sum(axis=1)
    given = source.labels.encode(column_of(rows, "label"))
    counts = np.stack([np.bincount(text, given == i) for i in range(len(source.labels))], axis=1)
    pairs = np.maximum(n * (n - 1), 1)
    differ = 1 - (counts * (counts - 1)).sum(axis=1) / pairs
    table = pd.DataFrame(
        {
            **{"text_id": names, "n": n, "divide": np.bincount(text, distance) / n},
            "disagreement": np.where(n > 1, differ, 0.0),
        }
    )
    table = table.loc[table["n"] > 1]
    return table.sort_values(["divide", "text_id"], ascending=[False, True], ignore_index=True)


def _table(source: Source, rows: pd.DataFrame, texts: pd.DataFrame) -> Markup:
    amounts = source.amount.of_predictions(rows)
    of_text = rows.assign(amount=amounts).groupby("text_id")
    lines = []
    for text in texts.to_dict("records"):
        part: Any = of_text.get_group(text["text_id"])
        part = part.sort_values("amount")
        high, low = part.iloc[-1], part.iloc[0]
        votes = part["label"].astype(str).value_counts()
        said = joined(
            [element("span", quoted(k, 30), f": {v}", class_="keep") for k, v in votes.items()],
            ", ",
        )
        lines.append(
            [
                _words(source, str(text["text_id"])),
                *(_person(who) for who in (high, low)),
                *(said, number(text["divide"], 2)),
            ]
        )
    heads = ["text", "highest", "lowest", "given", "divide"]
    return table(f"{len(lines)} texts with the sharpest divides", heads, lines, words=4)


def _words(source: Source, text_id: str) -> Markup:
    if source.texts is None or text_id not in source.texts.index:
        return quoted(text_id)
    return quoted(source.texts[text_id])


def _person(row: pd.Series) -> Markup:
    return element("span", quoted(row["annotator"], 40), f" {row['amount']:.2f}", class_="keep")


def _picture(texts: pd.DataFrame) -> Picture:
    told = rank_correlation(texts, "divide", "disagreement")
    shown = texts if len(texts) <= MOST_DOTS else texts.sample(MOST_DOTS, random_state=0)
    caption = (
        "Each dot is a text: how often two of its people really differ, against the predicted "
        f"divide; the line joins medians of groups of equal size. Rank correlation {told}. With "
        "few labels for each text the upward spread is mostly chance."
    )
    return Picture(
        "divides",
        "Predicted divide and disagreement",
        caption,
        texts,
        lambda axes: draw_trend(axes, shown, ("predicted divide", "disagreement of labels")),
    )
