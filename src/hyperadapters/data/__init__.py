"""Files of ratings in, checked ANNOTATIONS out; splits; what is in a table."""

from hyperadapters.data.held_out import SplitBy
from hyperadapters.data.majority import with_majority_labels
from hyperadapters.data.people import People
from hyperadapters.data.people_files import read_attributes
from hyperadapters.data.readers import read_annotations
from hyperadapters.data.split import assign_splits
from hyperadapters.tables.describe import Description, SplitDescription, describe

__all__ = [
    "Description",
    "People",
    "SplitBy",
    "SplitDescription",
    "assign_splits",
    "describe",
    "read_annotations",
    "read_attributes",
    "with_majority_labels",
]
