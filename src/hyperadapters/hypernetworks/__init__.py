"""Vector → adapter weights."""

from hyperadapters.hypernetworks.base import Hypernetwork
from hyperadapters.hypernetworks.cache import WeightCache
from hyperadapters.hypernetworks.centred import CentredHypernetwork
from hyperadapters.hypernetworks.head import HeadGenerator
from hyperadapters.hypernetworks.learned import LearnedAdapter
from hyperadapters.hypernetworks.network import AdapterNetwork, build_network
from hyperadapters.hypernetworks.outputs import StoredOutputs
from hyperadapters.hypernetworks.sources import GroupSource
from hyperadapters.hypernetworks.spec import (
    BiasSource,
    GroupSpec,
    HypernetworkKind,
    NetworkSpec,
    OutputSource,
    Source,
    TokenSource,
)
from hyperadapters.hypernetworks.stored import StoredAdapters
from hyperadapters.hypernetworks.tokens import StoredTokens
from hyperadapters.hypernetworks.two_tower import TwoTowerHypernetwork

__all__ = [
    "AdapterNetwork",
    "BiasSource",
    "CentredHypernetwork",
    "GroupSource",
    "GroupSpec",
    "HeadGenerator",
    "Hypernetwork",
    "HypernetworkKind",
    "LearnedAdapter",
    "NetworkSpec",
    "OutputSource",
    "Source",
    "StoredAdapters",
    "StoredOutputs",
    "StoredTokens",
    "TokenSource",
    "TwoTowerHypernetwork",
    "WeightCache",
    "build_network",
]
