"""Two layers with a query, a value and a wider output each: several shapes of weights."""

import pytest

from hyperadapters.adapters import LoRA, Placement
from hyperadapters.sites import Site


@pytest.fixture
def sites() -> list[Site]:
    widths = {"query": (6, 6), "value": (6, 6), "output": (6, 8)}
    return [Site(f"layer.{n}.{name}", *io) for n in range(2) for name, io in widths.items()]


@pytest.fixture
def places(sites) -> list[Placement]:
    """The sites with a LoRA of rank 2."""
    return [Placement(site, LoRA(2, 4.0)) for site in sites]
