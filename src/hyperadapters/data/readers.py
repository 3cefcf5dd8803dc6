"""The door for data: files of ratings in, checked ANNOTATIONS out."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hyperadapters.data.formats import (
    RawTable,
    plain_attribute,
    read_delimited,
    read_json_lines,
    read_parquet,
)
from hyperadapters.data.lewidi import is_attributes_file, read_annotator_attributes, read_lewidi
from hyperadapters.data.several_labels import join_labels as join_labels_of
from hyperadapters.errors import ConfigError, DataError, Fault
from hyperadapters.tables.annotations import STANDARD_COLUMNS, check_rows
from hyperadapters.tables.cells import clean_ids
from hyperadapters.tables.faults import FaultList, RowOrigin, missing_column, raise_together
from hyperadapters.tables.frames import column_of

READERS: dict[str, Callable[[Path], RawTable]] = {
    ".csv": lambda path: read_delimited(path, ","),
    ".tsv": lambda path: read_delimited(path, "\t"),
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".parquet": read_parquet,
    ".json": read_lewidi,
}


TEXTS = ("text", "text_pair")


@dataclass(frozen=True)
class ColumnNames:
    """What the user calls our columns.

    Attributes:
        text: The text column, or the two columns of a pair of texts.
        annotator: Who rated.
        label: The rating.
        item: Id of the text; under its usual name it may be absent.
        split: train, dev or test; under its usual name it may be absent.
    """

    text: tuple[str, ...] = ("text",)
    annotator: str = "annotator"
    label: str = "label"
    item: str = "text_id"
    split: str = "split"

    def __post_init__(self) -> None:
        if len(self.text) not in (1, 2):
            raise ConfigError(f"--text takes one column or two, got {len(self.text)}")
        taken: dict[str, str] = {}
        for _, name, option in self.wanted:
            if name in taken:
                raise ConfigError(f"{taken[name]} and {option} both name the column '{name}'")
            taken[name] = option

    @property
    def wanted(self) -> list[tuple[str, str, str]]:
        """Our name, the user's name and the option, for every column."""
        texts = zip(TEXTS, self.text, ("--text", "--text"), strict=False)
        return [
            *texts,
            ("annotator", self.annotator, "--annotator"),
            ("label", self.label, "--label"),
            ("text_id", self.item, "--item"),
            ("split", self.split, "--split"),
        ]


def read_annotations(
    *files: str | os.PathLike[str],
    text: str | Sequence[str] = "text",
    annotator: str = "annotator",
    label: str = "label",
    item: str = "text_id",
    split: str = "split",
    allow_leaks: bool = False,
    join_labels: bool = False,
    min_labels: int = 2,
    needs_annotator: bool = True,
) -> pd.DataFrame:
    """Reads and checks ratings: CSV, TSV, JSON lines, Parquet, LeWiDi JSON, by the ending.

    Several files are put one below the other. LeWiDi files name their own columns; the names given
    here are those of the other files. A LeWiDi `*_annotators_meta.json` among the files
    adds its attributes of annotators as columns, and so does a table that has annotators but
    neither texts nor labels, with one row for each of them.

    Args:
        files: One or more files.
        text: Column of the text, or two columns for a pair of texts; a column `text_pair` is the
            second text of a pair also where it is not named.
        annotator: Column of the annotator.
        label: Column of the label.
        item: Column of the text's id. Absent under its usual name, ids are made from the texts.
        split: Column of the split, values train, dev (validation, val, valid) and test.
        allow_leaks: Whether the same text may stand in several splits.
        join_labels: Whether several labels of one annotator for one text become one label, as
            ``contradiction+neutral``; otherwise they are an error. (In LeWiDi files, where they
            are a single answer, they always do.)
        min_labels: How many different labels there must be; see `check_annotations`.
        needs_annotator: Whether the column of the annotator must be there; texts alone will do
            for predictions.

    Returns:
        Checked ANNOTATIONS: `text_id, text, annotator, label`, perhaps `text_pair` and `split`, and
        every other column of the files.

    Raises:
        DataError: A file cannot be read or its rows cannot be used; names file, row and column.
        ConfigError: No file was named, or two options name the same column.
    """
    texts = (text,) if isinstance(text, str) else tuple(text)
    names = ColumnNames(texts, annotator, label, item, split)
    paths = _distinct_paths(files)
    ratings = [path for path in paths if not is_attributes_file(path)]
    attributes = [read_annotator_attributes(p) for p in paths if is_attributes_file(p)]
    if not ratings:
        raise DataError(str(paths[0]), ["describes annotators; name files of ratings beside it"])
    tables = [read_table(path) for path in ratings]
    people, tables = _describing(tables, names)
    attributes += people
    optional = {"text_id"} if item == "text_id" else set()
    optional |= {"split"} if split == "split" else set()
    optional |= set() if min_labels else {"label"}
    optional |= set() if needs_annotator else {"annotator"}
    frames = _standard_frames(tables, names, optional)
    frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    for column in frame.columns.difference(STANDARD_COLUMNS):
        frame[column] = plain_attribute(column_of(frame, column))
    origin = RowOrigin.join([table.origin for table in tables])
    if join_labels:
        frame, origin = join_labels_of(frame, origin)
    for people in attributes:
        frame = _with_attributes(frame, people, origin)
    return check_rows(
        frame,
        origin,
        allow_leaks=allow_leaks,
        min_labels=min_labels,
        needs_annotator=needs_annotator,
    )


def _distinct_paths(files: Sequence[str | os.PathLike[str]]) -> list[Path]:
    if not files:
        raise ConfigError("no file to read was named")
    paths = [Path(file) for file in files]
    for path in paths:
        if paths.count(path) > 1:
            raise DataError(str(path), ["the file is named twice"])
    return paths


def read_table(path: Path) -> RawTable:
    """Any file that ratings are read from, as it lies on disk.

    Raises:
        DataError: The file cannot be read, or its ending is not known.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None and not path.is_dir():
        ending = f"the ending '{path.suffix}' is not known" if path.suffix else "it has no ending"
        known = ", ".join(sorted(READERS))
        raise DataError(str(path), [f"{ending}, so how to read it is not either; known: {known}"])
    return (reader or read_parquet)(path)


def _describing(
    tables: Sequence[RawTable], names: ColumnNames
) -> tuple[list[pd.DataFrame], list[RawTable]]:
    """Tables that describe annotators, with the annotator as index; and the others.

    Raises:
        DataError: Somebody is described twice.
    """

    def describes(table: RawTable) -> bool:
        there = set(table.frame.columns)
        other = {*names.text, names.label} & there
        return not table.is_standard and names.annotator in there and not other

    rest = [table for table in tables if not describes(table)]
    if not rest:  # texts without labels and annotators are named otherwise
        return [], list(tables)
    found = []
    for table in filter(describes, tables):
        faults = FaultList(table.origin)
        ids = clean_ids(column_of(table.frame, names.annotator), faults)
        faults.add(
            "the annotator is described in another row too", np.flatnonzero(ids.duplicated())
        )
        faults.raise_any()
        found.append(table.frame.drop(columns=names.annotator).set_index(ids))
    return found, rest


def _standard_frames(
    tables: Sequence[RawTable], names: ColumnNames, optional: set[str]
) -> list[pd.DataFrame]:
    """The tables under our column names, each with a `text_id`."""
    faults: list[tuple[str, Fault]] = []
    for table in tables:
        if not table.is_standard:
            found = _column_faults(table.frame, names, optional)
            faults += [(table.origin.sources[0], fault) for fault in found]
    raise_together(faults)
    mapping = {name: ours for ours, name, _ in names.wanted}
    renamed = [
        t.frame if t.is_standard else _without_other_texts(t.frame, names).rename(columns=mapping)
        for t in tables
    ]
    return [with_text_ids(frame) for frame in renamed]


def _column_faults(frame: pd.DataFrame, names: ColumnNames, optional: set[str]) -> list[Fault]:
    """Columns that are missing, and columns in the place that another one is to take."""
    faults = []
    mapped = {name for _, name, _ in names.wanted}
    for ours, name, option in names.wanted:
        if name not in frame:
            if ours not in optional:
                faults.append(missing_column(name, ours, option, frame.columns))
        elif ours != name and ours in frame and ours not in mapped and ours not in TEXTS:
            faults.append(
                Fault(
                    f"{option} {name} is to become the column '{ours}', but there is such a"
                    " column already; rename or remove one of them"
                )
            )
    return faults


def _without_other_texts(frame: pd.DataFrame, names: ColumnNames) -> pd.DataFrame:
    """The table without columns of our names for texts where others are named to be the texts.

    Files of pairs often hold both texts in one as well. Of labels or annotators under two names,
    the other one may be what was meant, and is an error.
    """
    mapped = {name for _, name, _ in names.wanted}
    wanted = {ours for ours, _, _ in names.wanted}
    return frame.drop(columns=[c for c in TEXTS if c in frame and c in wanted - mapped])


def with_text_ids(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with ids made from the texts if it has none: same texts, same id."""
    if "text_id" in frame:
        return frame
    pairs = frame["text_pair"] if "text_pair" in frame else [""] * len(frame)
    shown = zip(frame["text"], pairs, strict=True)
    ids = [hashlib.sha256(f"{text}\x1f{pair}".encode()).hexdigest()[:16] for text, pair in shown]
    return frame.assign(text_id=pd.Series(ids, index=frame.index, dtype=object))


def _with_attributes(frame: pd.DataFrame, people: pd.DataFrame, origin: RowOrigin) -> pd.DataFrame:
    """The table with the attributes of each row's annotator as further columns."""
    annotators = clean_ids(
        column_of(frame, "annotator"), FaultList(origin)
    )  # faults are found again later
    if not annotators.isin(people.index).any():
        sources = ", ".join(origin.sources)
        raise DataError(
            sources, ["none of the annotators is among those whose attributes are given"]
        )
    columns = {}
    for name in people.columns:
        ours = plain_attribute(annotators.map(column_of(people, name)))
        columns[name] = column_of(frame, name).combine_first(ours) if name in frame else ours
    return frame.assign(**columns)
