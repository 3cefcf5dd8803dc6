import numpy as np
import pytest

from hyperadapters.conditions import Lookup
from hyperadapters.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("size", 0, "^Lookup needs a size of at least 1, got 0$"),
        ("size", 2.5, "^Lookup's size must be a whole number, got 2.5$"),
        ("size", True, "^Lookup's size must be a whole number, got True$"),
        ("width", 0, "^Lookup needs a width of at least 1, got 0$"),
        ("unknown", "mean", "'population', 'error' or 'base', got 'mean'$"),
    ],
)
def test_lookup_refuses(field, value, message):
    lookup = Lookup(3)
    # Set like this, because beartype, which only the tests have, would be the first to refuse.
    object.__setattr__(lookup, field, value)
    with pytest.raises(ConfigError, match=message):
        lookup.__post_init__()


def test_numbers_of_numpy_become_plain():
    lookup = Lookup(3)
    object.__setattr__(lookup, "size", np.int64(5))
    lookup.__post_init__()
    assert type(lookup.size) is int and lookup == Lookup(5)
