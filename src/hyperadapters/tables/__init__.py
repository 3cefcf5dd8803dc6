"""The tables that cross between stages: what stands in them, and what must not."""

from hyperadapters.tables.annotations import check_annotations
from hyperadapters.tables.predictions import (
    check_ending,
    check_predictions,
    label_space_of,
    predictions_frame,
    read_predictions,
    write_predictions,
)
from hyperadapters.tables.scores import check_scores, read_scores, write_scores
from hyperadapters.tables.submissions import read_submission, write_submission
from hyperadapters.tables.texts import find_leaks, normalise_text

__all__ = [
    "check_annotations",
    "check_ending",
    "check_predictions",
    "check_scores",
    "find_leaks",
    "label_space_of",
    "normalise_text",
    "predictions_frame",
    "read_predictions",
    "read_scores",
    "read_submission",
    "write_predictions",
    "write_scores",
    "write_submission",
]
