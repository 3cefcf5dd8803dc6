"""Which (text, annotator) pairs are to be predicted."""

from collections.abc import Sequence

import pandas as pd

from hyperadapters.conditions import Vocabulary
from hyperadapters.errors import ConfigError
from hyperadapters.tables.frames import columns_of

ROWS = "rows"
ALL = "all"
POPULATION = "population"
"""Stands for nobody in particular, in the column `annotator` and on the command line."""


def rows_for(
    texts: pd.DataFrame, annotators: str | Sequence[str], vocabulary: Vocabulary
) -> pd.DataFrame:
    """One row per (text, annotator) pair.

    Args:
        texts: Columns `text_id`, `text`, perhaps `text_pair`, `annotator` and `label`.
        annotators: ``"rows"``: the pairs of the table itself; ``"all"``: everyone the model
            knows; ``"population"``: nobody in particular; or a list of ids.
        vocabulary: Annotators that the model knows.

    Returns:
        The same columns, each text once for every annotator wanted. A label is kept where the
        table has one for that pair.

    Raises:
        ConfigError: ``"rows"`` for a table without annotators.
        ConditionError: An id in the list is unknown to the model.
    """
    if annotators == ROWS:
        if "annotator" not in texts:
            raise ConfigError(
                "the input has no column of annotators; say who is asked: all, population or ids"
            )
        return texts.reset_index(drop=True)
    names = names_for(annotators, vocabulary)
    columns = [c for c in ("text_id", "text", "text_pair", "split") if c in texts]
    distinct = texts.drop_duplicates("text_id")[columns]
    crossed = distinct.merge(pd.DataFrame({"annotator": names}), how="cross")
    if {"annotator", "label"} <= set(texts):
        pair = ["text_id", "annotator"]
        known = columns_of(texts, [*pair, "label"]).drop_duplicates(subset=pair)
        crossed = crossed.merge(known, on=pair, how="left")
    return crossed


def names_for(annotators: str | Sequence[str], vocabulary: Vocabulary) -> list[str]:
    """Who is asked about every text, in the order of the vocabulary or of the list.

    Args:
        annotators: ``"all"``, ``"population"``, an id or a list of ids.
        vocabulary: Annotators that the model knows.

    Raises:
        ConditionError: An id in the list is unknown to the model.
    """
    if annotators == ALL:
        return list(vocabulary.names)
    names = [annotators] if isinstance(annotators, str) else list(dict.fromkeys(annotators))
    vocabulary.indices([name for name in names if name != POPULATION], strict=True)
    return names
