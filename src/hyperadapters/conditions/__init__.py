"""What the model adapts to: declarations of conditions, and names ↔ indices."""

from hyperadapters.conditions.specs import POPULATION, Lookup, UnknownPolicy, condition_from_dict
from hyperadapters.conditions.vocabulary import Vocabulary

__all__ = ["POPULATION", "Lookup", "UnknownPolicy", "Vocabulary", "condition_from_dict"]
