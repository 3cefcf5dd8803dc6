"""What is known about annotators: a table of attributes from any file that has a row for them."""

import os
from pathlib import Path

import pandas as pd

from hyperadapters.data.formats import plain_attribute
from hyperadapters.data.lewidi import is_attributes_file, read_annotator_attributes
from hyperadapters.data.readers import read_table
from hyperadapters.errors import DataError
from hyperadapters.tables.cells import clean_ids
from hyperadapters.tables.faults import FaultList, missing_column
from hyperadapters.tables.frames import column_of


def read_attributes(path: str | os.PathLike[str], annotator: str = "annotator") -> pd.DataFrame:
    """Attributes of annotators from a table of people, or from ratings with such columns.

    Args:
        path: CSV, TSV, JSON lines, Parquet, or LeWiDi's ``*_annotators_meta.json``.
        annotator: Column of the annotator; LeWiDi's file names its own.

    Returns:
        The columns of the file, that of the annotator being called ``annotator``, with ids as text.

    Raises:
        DataError: The file cannot be read or does not say whom a row is about.
    """
    path = Path(path)
    if is_attributes_file(path):
        return read_annotator_attributes(path).rename_axis("annotator").reset_index()
    raw = read_table(path)
    frame = raw.frame
    if not raw.is_standard:
        if annotator not in frame:
            fault = missing_column(annotator, "annotator", "--annotator", frame.columns)
            raise DataError(str(path), [fault])
        hidden = [] if annotator == "annotator" else frame.columns.intersection(["annotator"])
        frame = frame.drop(columns=list(hidden)).rename(columns={annotator: "annotator"})
    faults = FaultList(raw.origin)
    ids = clean_ids(column_of(frame, "annotator"), faults)
    faults.raise_any()
    columns = {name: plain_attribute(column_of(frame, name)) for name in frame}
    return pd.DataFrame({**columns, "annotator": ids})
