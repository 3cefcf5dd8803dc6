"""New people: from a few labels of somebody to their vector, and how sure it is."""

from hyperadapters.adaptation.find import Found, find_people
from hyperadapters.adaptation.intervals import Intervals
from hyperadapters.adaptation.posterior import Posterior
from hyperadapters.adaptation.prior import Prior, prior_of
from hyperadapters.adaptation.suggest import choose_texts, information, told_by
from hyperadapters.adaptation.vectors import PersonalVectors, check_adaptable

__all__ = [
    "Found",
    "Intervals",
    "PersonalVectors",
    "Posterior",
    "Prior",
    "check_adaptable",
    "choose_texts",
    "find_people",
    "information",
    "prior_of",
    "told_by",
]
