"""What the model adapts to: declarations of conditions, and names ↔ indices."""

from hyperadapters.conditions.attributes import Attributes
from hyperadapters.conditions.fields import POPULATION, Reading, UnknownPolicy
from hyperadapters.conditions.instance import Instance, InstanceSource, Pool
from hyperadapters.conditions.lookup import Lookup
from hyperadapters.conditions.mixture import mixture
from hyperadapters.conditions.specs import Condition, condition_from_dict
from hyperadapters.conditions.vector import Vector
from hyperadapters.conditions.vocabulary import Vocabulary

__all__ = [
    "POPULATION",
    "Attributes",
    "Condition",
    "Instance",
    "InstanceSource",
    "Lookup",
    "Pool",
    "Reading",
    "UnknownPolicy",
    "Vector",
    "Vocabulary",
    "condition_from_dict",
    "mixture",
]
