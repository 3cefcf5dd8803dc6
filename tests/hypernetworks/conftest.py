"""Two layers with a query, a value and a wider output each: three shapes of weights."""

import pytest

from hyperadapters.sites import Site


@pytest.fixture
def sites() -> list[Site]:
    widths = {"query": (6, 6), "value": (6, 6), "output": (6, 8)}
    return [Site(f"layer.{n}.{name}", *io) for n in range(2) for name, io in widths.items()]
