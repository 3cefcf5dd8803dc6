"""What is in a table of annotations: how much, by whom, and how far they agree."""

from dataclasses import dataclass

import krippendorff
import numpy as np
import pandas as pd

from hyperadapters.labels import LabelKind, LabelSpace
from hyperadapters.tables.cells import SPLITS
from hyperadapters.tables.frames import column_of, rows_of
from hyperadapters.tables.texts import leaking_rows, text_keys


@dataclass(frozen=True)
class SplitDescription:
    """One split in numbers.

    Attributes:
        name: train, dev or test.
        rows: Ratings.
        texts: Different text ids.
        annotators: Different annotators.
        unseen_annotators: Annotators without any row in train; 0 for train itself.
        unseen_rows: Rows by such annotators.
    """

    name: str
    rows: int
    texts: int
    annotators: int
    unseen_annotators: int
    unseen_rows: int


@dataclass(frozen=True)
class Description:
    """A table of annotations in numbers.

    Attributes:
        rows: Ratings.
        texts: Different text ids.
        annotators: Different annotators.
        rows_per_annotator: Least, median and most ratings of one annotator.
        ratings_per_text: Mean over texts.
        label_kind: How `alpha` took the labels: ``"nominal"`` or ``"ordinal"``.
        label_shares: Label to its share of the rows, in label order; sum 1.
        contested: Share of the texts with at least 2 ratings that are not unanimous; None if no
            text has 2 ratings.
        alpha: Krippendorff's alpha; None where it is undefined (no text has 2 ratings, or all such
            ratings are equal).
        splits: The splits in the order train, dev, test; empty without column `split`.
        leaks: Different texts (normalised) that stand in more than one split.
        has_pairs: Whether a text is a pair of texts.
    """

    rows: int
    texts: int
    annotators: int
    rows_per_annotator: tuple[int, float, int]
    ratings_per_text: float
    label_kind: LabelKind
    label_shares: dict[str | int, float]
    contested: float | None
    alpha: float | None
    splits: tuple[SplitDescription, ...]
    leaks: int
    has_pairs: bool = False


def describe(frame: pd.DataFrame) -> Description:
    """Counts and agreement of checked ANNOTATIONS.

    Args:
        frame: Columns `text_id, text, annotator, label`, perhaps `text_pair` and `split`. Without
            `split`, nothing looks at `text`, which may be missing then.
    """
    space = LabelSpace.of(frame["label"])
    counts = _value_counts(frame, space)
    per_annotator = frame["annotator"].value_counts()
    shares = counts.sum(axis=0) / len(frame)
    return Description(
        rows=len(frame),
        texts=len(counts),
        annotators=len(per_annotator),
        rows_per_annotator=(
            int(per_annotator.min()),
            float(per_annotator.median()),
            int(per_annotator.max()),
        ),
        ratings_per_text=len(frame) / len(counts),
        label_kind=space.kind,
        label_shares=dict(zip(space.names, shares.tolist(), strict=True)),
        contested=_contested(counts),
        alpha=_alpha(counts, space),
        splits=_describe_splits(frame),
        leaks=_count_leaks(frame),
        has_pairs="text_pair" in frame,
    )


def _value_counts(frame: pd.DataFrame, space: LabelSpace) -> np.ndarray:
    """How often each text got each label, shape ``(n_texts, n_labels)``, int64."""
    text_index, texts = pd.factorize(frame["text_id"])
    counts = np.zeros((len(texts), len(space)), np.int64)
    np.add.at(counts, (text_index, space.encode(column_of(frame, "label"))), 1)
    return counts


def _contested(counts: np.ndarray) -> float | None:
    rated_twice = counts[counts.sum(axis=1) >= 2]
    if len(rated_twice) == 0:
        return None
    return float(np.mean(rated_twice.max(axis=1) < rated_twice.sum(axis=1)))


def _alpha(counts: np.ndarray, space: LabelSpace) -> float | None:
    pairable = counts[counts.sum(axis=1) >= 2]
    used = np.flatnonzero(pairable.sum(axis=0))
    if len(used) < 2:
        return None
    # Both metrics look at the order of the labels only, so their ranks stand for them.
    alpha = krippendorff.alpha(
        value_counts=pairable[:, used],
        value_domain=np.arange(len(used)),
        level_of_measurement=space.kind,
    )
    return float(alpha)


def _describe_splits(frame: pd.DataFrame) -> tuple[SplitDescription, ...]:
    if "split" not in frame:
        return ()
    split, annotator = column_of(frame, "split"), column_of(frame, "annotator")
    seen = set(column_of(rows_of(frame, split == "train"), "annotator"))
    is_unseen = ~annotator.isin(list(seen))
    described = []
    for name in SPLITS:
        rows = rows_of(frame, split == name)
        if rows.empty:
            continue
        unseen = rows_of(frame, (split == name) & is_unseen)
        described.append(
            SplitDescription(
                name=name,
                rows=len(rows),
                texts=_n_different(rows, "text_id"),
                annotators=_n_different(rows, "annotator"),
                unseen_annotators=_n_different(unseen, "annotator"),
                unseen_rows=len(unseen),
            )
        )
    return tuple(described)


def _count_leaks(frame: pd.DataFrame) -> int:
    if "split" not in frame:
        return 0
    return len(text_keys(rows_of(frame, leaking_rows(frame))).unique())


def _n_different(frame: pd.DataFrame, column: str) -> int:
    return len(column_of(frame, column).unique())
