"""Scores of groups of people, and the gaps between them, as rows of SCORES."""

import pandas as pd

from hyperadapters.evaluation.groups import GroupScores
from hyperadapters.tables.frames import columns_of
from hyperadapters.tables.scores import SCORES_COLUMNS

GROUP_COLUMNS = ("n_annotators", "n_groups", "p_value", "lowest", "highest")
"""Columns beside those of SCORES; of a group the first, of a gap the others."""

_GROUP = ["method", "seed", "split", "attribute", "metric"]


def rows_of_groups(found: GroupScores) -> pd.DataFrame:
    """The groups that are shown and the gaps, with the columns of SCORES and `GROUP_COLUMNS`.

    A group is a slice ``gender=woman``. A gap has the slice ``gender`` and the metric
    ``accuracy_gap``; its `n` counts the rows of the two groups that it lies between.
    """
    shown = found.scores.loc[~found.scores["suppressed"]]
    names = shown["attribute"] + "=" + shown["group"]
    groups = shown.assign(slice=names)
    n_rows = shown.set_index([*_GROUP, "group"])["n"].to_dict()
    gaps = found.gaps.rename(columns={"attribute": "slice", "gap": "value"})
    ends = [gaps[name].mask(gaps[name] == "") for name in ("lowest", "highest")]
    keys = found.gaps[_GROUP].itertuples(index=False, name=None)
    of_two = [
        sum(n_rows.get((*key, name), 0) for name in pair)
        for key, pair in zip(keys, zip(*ends, strict=True), strict=True)
    ]
    gaps = gaps.assign(metric=gaps["metric"] + "_gap", n=of_two, lowest=ends[0], highest=ends[1])
    rows = pd.concat([groups, gaps], ignore_index=True)
    whole = dict.fromkeys(("n_annotators", "n_groups"), "Int64")
    return columns_of(rows, [*SCORES_COLUMNS, *GROUP_COLUMNS]).astype(whole)
