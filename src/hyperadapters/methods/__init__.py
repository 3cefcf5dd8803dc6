"""One readable table of all methods, and what they build."""

from hyperadapters.methods.classifier import AnnotatorClassifier
from hyperadapters.methods.examples import Examples
from hyperadapters.methods.settings import Settings
from hyperadapters.methods.table import DEFAULT_METHOD, METHODS, Method, find_method

__all__ = [
    "DEFAULT_METHOD",
    "METHODS",
    "AnnotatorClassifier",
    "Examples",
    "Method",
    "Settings",
    "find_method",
]
