"""`hyperadapters evaluate PREDICTIONS`: score predictions, of this library or of any other."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text as Words

from hyperadapters.cli.groups import groups_of, show_groups
from hyperadapters.cli.options import (
    FORMAT_NAMES,
    TEXT,
    Annotator,
    AttributesFile,
    Item,
    JoinLabels,
    Label,
    Split,
    TaskLabels,
    Text,
)
from hyperadapters.cli.submit import split_labels
from hyperadapters.errors import ConfigError

Record = Mapping[str, Any]

OWN_FORMAT = "predictions"

COLUMNS_SIDE_BY_SIDE = 3
"""Columns of values that fit beside the names of the metrics on a terminal of 80 characters."""

LONG_NAME = 13
"""Longer names are broken at their hyphens."""


PLACE = ("method", "seed", "split", "slice")
# Kept here as words, for the command must be light to import; a test compares them with SOURCES.
SLICES = ("all", "known", "adapted", "attributes", "population")


def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS",
            help="Parquet, CSV or JSONL with text_id, annotator, label, predicted and p_<label>; "
            "or a file of --format.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="SCORES.json",
            help="Also write the scores, every slice and group with its intervals, to this JSON "
            "file.",
            show_default=False,
        ),
    ] = None,
    resample: Annotated[
        str,
        typer.Option(
            "--resample",
            metavar="texts|annotators",
            help="What the 95 % intervals draw again: other texts, or other people.",
        ),
    ] = "texts",
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="ATTRIBUTE",
            help="Also show how well each group of people is predicted; may be given several "
            "times; gender+age takes two together. Needs --attributes.",
            show_default=False,
        ),
    ] = None,
    attributes: AttributesFile = None,
    format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help=f"predictions, or the file is another's: {FORMAT_NAMES}. Needs --truth then.",
        ),
    ] = "predictions",
    truth: Annotated[
        list[Path] | None,
        typer.Option(
            "--truth",
            metavar="FILE",
            help="Ratings that a file of --format is compared with: CSV, TSV, JSONL, Parquet or "
            "LeWiDi JSON; may be given several times.",
            show_default=False,
        ),
    ] = None,
    labels: TaskLabels = None,
    join_labels: JoinLabels = False,
    text: Text = TEXT,
    annotator: Annotator = "annotator",
    label: Label = "label",
    item: Item = "text_id",
    split: Split = "split",
) -> None:
    """Score predictions of single annotators against the labels that they gave."""
    from hyperadapters.evaluation import evaluate as score
    from hyperadapters.tables.scores import refuse_to_overwrite

    if output is not None:  # before the work, not after it
        refuse_to_overwrite(output)
    if bool(by) != bool(attributes):
        raise ConfigError("--by ATTRIBUTE and --attributes FILE need each other")
    columns = {"annotator": annotator, "label": label, "item": item, "split": split}
    table = _read(
        predictions,
        format,
        truth or [],
        labels,
        {"text": text, "join_labels": join_labels, **columns},
    )
    scores = score(table, resample=resample)
    groups = groups_of(table, attributes, by, annotator) if by and attributes else None
    if output is not None:
        _write(scores, groups, output)
    show_scores(scores)
    if groups is not None:
        show_groups(groups)
    if output is not None:
        Console().print(
            f"scores written to {output}", markup=False, highlight=False, soft_wrap=True
        )


def _write(scores: Any, groups: Any, output: Path) -> None:
    """Write SCORES, and below them those of groups of people where there are any."""
    from hyperadapters.evaluation.group_rows import GROUP_COLUMNS, rows_of_groups
    from hyperadapters.tables.scores import write_scores

    if groups is None:
        write_scores(scores, output)
        return
    import pandas as pd

    every = pd.concat([scores, rows_of_groups(groups)], ignore_index=True)
    write_scores(every, output, further=GROUP_COLUMNS)


def _read(
    path: Path,
    format: str,
    truth: Sequence[Path],
    labels: str | None,
    columns: Mapping[str, Any],
) -> Any:
    """PREDICTIONS, of their own file or of one of another format and the ratings it is about."""
    from hyperadapters.data.readers import read_annotations
    from hyperadapters.tables.predictions import read_predictions
    from hyperadapters.tables.submissions import FORMATS, read_submission

    if format == OWN_FORMAT:
        if truth or labels:
            raise ConfigError("--truth and --labels are for files of another --format")
        return read_predictions(path)
    if format not in FORMATS:
        known = ", ".join([OWN_FORMAT, *FORMATS])
        raise ConfigError(f"unknown format {format!r}; known: {known}")
    if not truth:
        raise ConfigError(f"--format {format} has no labels to compare with; name --truth FILE")
    ratings = read_annotations(*truth, allow_leaks=True, min_labels=1, **columns)
    found = read_submission(path, format, ratings, labels=split_labels(labels))
    if note := _unpredicted(ratings, found):
        typer.echo(f"{path}: {note}", err=True)
    return found


def _unpredicted(ratings: Any, predictions: Any) -> str:
    """How many ratings, split by split, a file says nothing about; nothing where there are none."""
    labelled = ratings.loc[ratings["label"].notna()]
    splits = labelled["split"] if "split" in labelled else labelled["label"].map(lambda _: "test")
    there, predicted = splits.value_counts(), predictions["split"].value_counts()
    left = (there - predicted.reindex(there.index, fill_value=0)).loc[lambda n: n > 0]
    if left.empty:
        return ""
    of_each = ", ".join(f"{n:,} of {there[name]:,} in {name}" for name, n in left.items())
    return (
        f"{left.sum():,} of {len(labelled):,} ratings have no prediction ({of_each}); the scores "
        "are those of the others"
    )


def show_scores(scores: Any) -> None:
    """Print SCORES as tables."""
    from hyperadapters.evaluation import BETTER

    console = Console()
    for table in score_tables(scores.to_dict("records"), BETTER):
        console.print(table)


def score_tables(scores: Sequence[Record], better: Mapping[str, str]) -> Iterator[Table]:
    """Tables for the terminal: one method with its intervals, several things side by side.

    Args:
        scores: Rows of SCORES.
        better: Which direction is better, by metric.
    """
    places = list(dict.fromkeys(tuple(row[name] for name in PLACE) for row in scores))
    if len({place[:-1] for place in places}) == 1:
        yield _interval_table([row for row in scores if row["slice"] == "all"], better)
    if len(places) > 1:
        varying = [i for i in range(len(PLACE)) if len({place[i] for place in places}) > 1]
        for block in _blocks(places):
            yield _side_by_side(scores, block, varying, better)


def _blocks(places: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    """What stands side by side: the slices of a single method, else methods on the same slice."""
    alone = len({place[:-1] for place in places}) == 1
    slices = [SLICES] if alone else [(name,) for name in SLICES]
    for names in slices:
        group = [place for place in places if place[-1] in names]
        for start in range(0, len(group), COLUMNS_SIDE_BY_SIDE):
            yield group[start : start + COLUMNS_SIDE_BY_SIDE]


def _interval_table(scores: Sequence[Record], better: Mapping[str, str]) -> Table:
    first = scores[0]
    title = f"{first['method']}, seed {first['seed']}, split {first['split']}"
    table = _table(Words(title))
    for name in ("value", "95 % interval", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in scores:
        low, high = _number(row["low"]), _number(row["high"])
        interval = "" if math.isnan(row["low"]) else f"{low} to {high}"
        metric, direction = row["metric"], better.get(row["metric"], "")
        table.add_row(metric, direction, _number(row["value"]), interval, str(row["n"]))
    return table


def _side_by_side(
    scores: Sequence[Record],
    places: Sequence[tuple[Any, ...]],
    varying: Sequence[int],
    better: Mapping[str, str],
) -> Table:
    table = _table()
    for place in places:
        header = "\n".join(_heading(PLACE[i], place[i]) for i in varying)
        table.add_column(Words(header), justify="right", overflow="fold")
    values = {
        (row["metric"], *(row[name] for name in PLACE)): _number(row["value"]) for row in scores
    }
    for metric in dict.fromkeys(row["metric"] for row in scores):
        cells = [values.get((metric, *place), "") for place in places]
        table.add_row(metric, better.get(metric, ""), *cells)
    return table


def _table(title: Words | None = None) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    table.add_column("metric", no_wrap=True)
    table.add_column("better", no_wrap=True)
    return table


def _heading(name: str, value: Any) -> str:
    """The value, a number does not say what it counts."""
    text = f"seed {value}" if name == "seed" else str(value)
    return text.replace("-", "-\n") if len(text) > LONG_NAME else text


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
