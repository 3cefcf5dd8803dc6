import pytest

from hyperadapters.conditions import Instance
from hyperadapters.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("pool", "sum", "^Instance's pool must be 'mean', 'first', 'last' or 'max', got 'sum'$"),
        ("layer", 0.5, "^Instance's layer must be a whole number, got 0.5$"),
        ("encoded_width", 0, "^Instance needs an encoded_width of at least 1, got 0$"),
        ("hidden_width", 0, "^Instance needs a hidden_width of at least 1, got 0$"),
    ],
)
def test_instance_refuses(field, value, message):
    instance = Instance()
    object.__setattr__(instance, field, value)
    with pytest.raises(ConfigError, match=message):
        instance.__post_init__()


def test_an_input_is_never_unknown():
    assert Instance(layer=-7).unknown == "error"
    assert "unknown" not in Instance().to_dict()
