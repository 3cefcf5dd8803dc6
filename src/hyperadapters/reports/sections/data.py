"""What the ratings are: how many, by whom, how far people agree."""

import numpy as np
import pandas as pd

from hyperadapters.reports.figures.grids import draw_counts, draw_shares
from hyperadapters.reports.markup import Markup, items, percent, table
from hyperadapters.reports.picture import Picture, Section
from hyperadapters.reports.source import Source
from hyperadapters.tables.describe import Description, describe
from hyperadapters.tables.frames import column_of, columns_of

HEADS = ("what", "amount")
_BINS = 20


def data(source: Source) -> Section:
    """Sizes, agreement, ratings per person and label shares."""
    told, missing = [], []
    rows, of = _ratings(source)
    if source.ratings is None:
        missing.append(
            "Agreement and counts of all ratings, and texts that stand in several splits: name "
            "the ratings with --data FILE. What is shown rests on the rows with predictions."
        )
    parts: list[Markup | list[Picture]] = [_sizes(source)]
    if column_of(rows, "label").nunique() > 1:
        described = describe(rows)
        parts.append(_agreement(described, of))
        if source.ratings is not None:
            told = _problems(described)
    elif len(rows):
        missing.append(f"Agreement: all labels of {of} are {rows['label'].iloc[0]}.")
    if told:
        parts.append(items(told))
    if len(rows):
        parts.append([_per_person(rows, of), _shares(rows, of)])
    return Section("data", "Data", parts, missing)


def _ratings(source: Source) -> tuple[pd.DataFrame, str]:
    """The ratings, or those that predictions hold, and how they are called."""
    if source.ratings is not None:
        return source.ratings, "all ratings"
    table = source.every_prediction
    first = (table["method"] == source.method) & (table["seed"] == source.run.seed)
    rows = columns_of(table.loc[first & table["label"].notna()], ["text_id", "annotator", "label"])
    splits = " and ".join(dict.fromkeys(table.loc[first, "split"]))
    return rows.drop_duplicates(["text_id", "annotator"]).reset_index(drop=True), f"split {splits}"


def _sizes(source: Source) -> Markup:
    known = source.run.record.get("data", {})
    splits = known.get("rows_by_split", {})
    rows = [
        (what, f"{known[name]:,}")
        for name, what in (("rows", "ratings"), ("texts", "texts"), ("annotators", "annotators"))
        if isinstance(known.get(name), int)
    ]
    rows += [(f"ratings in {name}", f"{n:,}") for name, n in splits.items()]
    if known.get("sha256"):
        rows.append(("SHA-256", str(known["sha256"])[:16]))
    return table("What the run was made with", HEADS, rows)


def _agreement(found: Description, of: str) -> Markup:
    least, median, most = found.rows_per_annotator
    contested, alpha = found.contested, found.alpha
    rows = [
        ("ratings", f"{found.rows:,}"),
        ("texts", f"{found.texts:,}"),
        ("annotators", f"{found.annotators:,}"),
        ("ratings per annotator", f"{least:,} to {most:,}, median {median:,g}"),
        ("ratings per text", f"{found.ratings_per_text:.1f}"),
        ("contested texts", "no text has 2" if contested is None else percent(contested, 1)),
        (
            "Krippendorff's alpha",
            "undefined" if alpha is None else f"{alpha:.3f} ({found.label_kind})",
        ),
    ]
    return table(f"Counts and agreement of {of}", HEADS, rows)


def _problems(found: Description) -> list[str]:
    leaks = "no text stands" if not found.leaks else f"{found.leaks:,} texts stand"
    lines = [f"Leaks: {leaks} in more than one split (case and white space do not count)."]
    if not found.splits:
        lines = ["The ratings have no column of splits: leaks between splits cannot be looked for."]
    lines += [
        f"In {split.name}, {split.unseen_annotators:,} annotators with "
        f"{percent(split.unseen_rows / split.rows, 1)} of the rows are not in train."
        for split in found.splits
        if split.unseen_annotators
    ]
    return lines


def _per_person(rows: pd.DataFrame, of: str) -> Picture:
    counts = rows["annotator"].value_counts().to_numpy()
    low, high = int(counts.min()), int(counts.max())
    step = max(1, -(-(high - low + 1) // _BINS))
    edges = np.arange(low, high + step + 1, step) - 0.5
    n, _ = np.histogram(counts, bins=edges)
    table = pd.DataFrame({"above": edges[:-1], "up_to": edges[1:], "n": n})
    caption = (
        f"How many annotators gave how many ratings ({of}): from {low:,} to {high:,}, median "
        f"{np.median(counts):,g}. Whoever gave few stays close to what everybody would say."
    )
    return Picture(
        "ratings-per-person",
        "Ratings per annotator",
        caption,
        table,
        lambda axes: draw_counts(axes, table, "ratings", "annotators"),
    )


def _shares(rows: pd.DataFrame, of: str) -> Picture:
    shares = rows["label"].value_counts(normalize=True)
    shares = shares.sort_index() if len(shares) <= 12 else shares.head(12)
    table = pd.DataFrame({"name": shares.index.astype(str), "share": shares.to_numpy(np.float64)})
    top = table.loc[table["share"].idxmax()]
    caption = (
        f"Share of each label in {of}; who always says {top['name']} is right in "
        f"{percent(float(top['share']), 1)} of the rows."
    )
    return Picture(
        "label-shares",
        "Labels",
        caption,
        table,
        lambda axes: draw_shares(axes, table, "share of the ratings"),
        max(1.8, 0.9 + 0.35 * len(table)),
    )
