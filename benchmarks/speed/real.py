"""The real ratings of the cases that need them."""

from pathlib import Path

import pandas as pd
from benchmarks.speed.setting import NoDataError

import hyperadapters as ha
from hyperadapters.tables.frames import column_of, rows_of


def ratings(data: Path, name: str, n_texts: int | None = None) -> pd.DataFrame:
    """ANNOTATIONS of a data set, of some of its texts, always the same, or of all.

    Raises:
        NoDataError: The folder does not hold it.
    """
    path = data / f"{name}.parquet"
    if not path.exists():
        raise NoDataError(f"{path} is not there")
    found = ha.read_annotations(path, allow_leaks=True)
    if name == "crehate":  # 2 is "don't know"
        found = rows_of(found, found["label"].astype(str) != "2").reset_index(drop=True)
    if n_texts is None:
        return found
    texts = column_of(found, "text")
    chosen = texts.drop_duplicates().sample(n_texts, random_state=0)
    return rows_of(found, texts.isin(chosen)).reset_index(drop=True)
