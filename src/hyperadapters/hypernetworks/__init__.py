"""Vector → adapter weights."""

from hyperadapters.hypernetworks.base import Hypernetwork
from hyperadapters.hypernetworks.centred import CentredHypernetwork
from hyperadapters.hypernetworks.head import HeadGenerator
from hyperadapters.hypernetworks.learned import LearnedAdapter
from hyperadapters.hypernetworks.network import AdapterNetwork, NetworkSpec, build_network
from hyperadapters.hypernetworks.two_tower import TwoTowerHypernetwork

__all__ = [
    "AdapterNetwork",
    "CentredHypernetwork",
    "HeadGenerator",
    "Hypernetwork",
    "LearnedAdapter",
    "NetworkSpec",
    "TwoTowerHypernetwork",
    "build_network",
]
