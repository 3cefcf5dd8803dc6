"""The parts of a report in their order: each a function from the source to a `Section`."""

from collections.abc import Callable

from hyperadapters.reports.picture import Section
from hyperadapters.reports.sections.annotator_map import annotator_map
from hyperadapters.reports.sections.calibration import calibration
from hyperadapters.reports.sections.contested import contested
from hyperadapters.reports.sections.cost import cost
from hyperadapters.reports.sections.data import data
from hyperadapters.reports.sections.few_labels import few_labels
from hyperadapters.reports.sections.groups import groups
from hyperadapters.reports.sections.made_by import made_by
from hyperadapters.reports.sections.methods import methods
from hyperadapters.reports.sections.people import people
from hyperadapters.reports.sections.squares import squares
from hyperadapters.reports.sections.summary import summary
from hyperadapters.reports.source import Source

ABOUT_ANNOTATORS: tuple[Callable[[Source], Section], ...] = (
    *(summary, methods, people, annotator_map, contested, squares),
    *(calibration, groups, few_labels, data, cost, made_by),
)
