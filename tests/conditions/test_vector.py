import pytest

from hyperadapters.conditions import Vector
from hyperadapters.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("width", 0, "^Vector needs a width of at least 1, got 0$"),
        ("width", None, "^Vector's width must be a whole number, got None$"),
        ("encoded_width", 0, "^Vector needs an encoded_width of at least 1, got 0$"),
        ("hidden_width", -3, "^Vector needs a hidden_width of at least 1, got -3$"),
        ("unknown", "zero", "^Vector's unknown must be .* got 'zero'$"),
    ],
)
def test_vector_refuses(field, value, message):
    vector = Vector(3)
    object.__setattr__(vector, field, value)
    with pytest.raises(ConfigError, match=message):
        vector.__post_init__()


def test_a_missing_vector_is_an_error_unless_asked_otherwise():
    assert Vector(3).unknown == "error"
