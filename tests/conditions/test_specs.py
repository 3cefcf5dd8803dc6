import json

import pytest

from hyperadapters.conditions import Lookup, condition_from_dict
from hyperadapters.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("size", 0, "size of at least 1, got 0"),
        ("width", 0, "width of at least 1, got 0"),
        ("unknown", "mean", "'population' or 'error', got 'mean'"),
    ],
)
def test_lookup_refuses(field, value, message):
    lookup = Lookup(3)
    # Set like this, because beartype, which only the tests have, would be the first to refuse.
    object.__setattr__(lookup, field, value)
    with pytest.raises(ConfigError, match=message):
        lookup.__post_init__()


@pytest.mark.parametrize("lookup", [Lookup(1), Lookup(819, width=32, unknown="error")])
def test_lookup_survives_json(lookup):
    assert condition_from_dict(json.loads(json.dumps(lookup.to_dict()))) == lookup


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"kind": "prose", "size": 3}, "unknown kind of condition 'prose'; known: 'lookup'"),
        ({"size": 3}, "unknown kind of condition None"),
        ({"kind": "lookup"}, "size"),
        ({"kind": "lookup", "size": 3, "depth": 2}, "depth"),
    ],
)
def test_declarations_that_are_not_ours(data, message):
    with pytest.raises(ConfigError, match=message):
        condition_from_dict(data)
