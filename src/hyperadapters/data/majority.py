"""Ratings with the label of their text's majority in the place of their own."""

import pandas as pd

from hyperadapters.tables.frames import column_of, columns_of


def with_majority_labels(ratings: pd.DataFrame) -> pd.DataFrame:
    """The same rows, each with the most frequent label of its text in its split.

    Of labels that are as frequent in a text, the one counts that is more frequent in all ratings of
    the split, and of these the first by name. Rows without a label stay without.

    Args:
        ratings: ANNOTATIONS with splits.
    """
    keys = ["split", "text_id"]
    labelled = ratings.loc[ratings["label"].notna()]
    counts = labelled.groupby([*keys, "label"]).size().rename("votes").reset_index()
    overall = labelled.groupby(["split", "label"]).size().rename("overall").reset_index()
    ranked = counts.merge(overall, on=["split", "label"])
    ranked["name"] = column_of(ranked, "label").astype(str)
    ranked = ranked.sort_values(["votes", "overall", "name"], ascending=[False, False, True])
    winners = ranked.drop_duplicates(keys).set_index(keys)["label"]
    found = winners.reindex(pd.MultiIndex.from_frame(columns_of(ratings, keys)))
    label = pd.Series(found.to_numpy(), index=ratings.index, dtype=winners.dtype)
    return ratings.assign(label=label.where(ratings["label"].notna()))
