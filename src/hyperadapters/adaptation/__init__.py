"""New people: from a few labels of somebody to their vector, and how sure it is."""

from hyperadapters.adaptation.amortise import fit_set_encoder
from hyperadapters.adaptation.amortised import SetEncoder
from hyperadapters.adaptation.evidence import fit_prior
from hyperadapters.adaptation.find import Found, LabelledRows, find_among, find_people
from hyperadapters.adaptation.intervals import Intervals
from hyperadapters.adaptation.logits import VectorLogits
from hyperadapters.adaptation.posterior import Posterior
from hyperadapters.adaptation.prior import Prior, prior_of
from hyperadapters.adaptation.rates import Known, rates_among, rates_of
from hyperadapters.adaptation.suggest import choose_texts, information, told_by
from hyperadapters.adaptation.vectors import PersonalVectors, check_adaptable

__all__ = [
    "Found",
    "Intervals",
    "Known",
    "LabelledRows",
    "PersonalVectors",
    "Posterior",
    "Prior",
    "SetEncoder",
    "VectorLogits",
    "check_adaptable",
    "choose_texts",
    "find_among",
    "find_people",
    "fit_prior",
    "fit_set_encoder",
    "information",
    "prior_of",
    "rates_among",
    "rates_of",
    "told_by",
]
