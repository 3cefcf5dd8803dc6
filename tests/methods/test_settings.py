from dataclasses import fields

import pytest

from hyperadapters.errors import ConfigError
from hyperadapters.methods import METHODS, Settings


def test_strings_of_a_command_line_are_read():
    changed = Settings().changed(
        {"epochs": "7", "learning_rate": "2e-3", "batches_by_text": "No", "schedule": "linear"}
    )
    assert (changed.epochs, changed.learning_rate) == (7, 2e-3)
    assert (changed.batches_by_text, changed.schedule) == (False, "linear")
    assert type(changed.epochs) is int
    assert changed.batch_size == Settings().batch_size


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("epochs", 3.0, 3),  # as YAML may have it
        ("lora_alpha", 4, 4.0),
        ("batches_by_text", "1", True),
        ("batches_by_text", False, False),
        ("shared_epochs", 0, 0),
        ("head_dropout", 0, 0.0),
        ("epochs", 1, 1),
    ],
)
def test_values_that_will_do(name, value, wanted):
    got = getattr(Settings().changed({name: value}), name)
    assert got == wanted
    assert type(got) is type(wanted)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", "many", "epochs must be a whole number, got 'many'"),
        ("epochs", "2.5", "epochs must be a whole number, got '2.5'"),
        ("epochs", 2.5, "epochs must be a whole number, got 2.5"),
        ("epochs", True, "epochs must be a whole number, got True"),
        ("epochs", None, "epochs must be a whole number, got None"),
        ("epochs", [2], r"epochs must be a whole number, got \[2\]"),
        ("learning_rate", {}, "learning_rate must be a number, got {}"),
        ("learning_rate", "fast", "learning_rate must be a number, got 'fast'"),
        ("batches_by_text", "perhaps", "batches_by_text must be true or false, got 'perhaps'"),
        ("epochs", 0, "epochs must be a number of at least 1, got 0"),
        ("r", "-1", "r must be a number of at least 1, got -1"),
        ("shrinkage", -0.1, "shrinkage must be a number of at least 0, got -0.1"),
        ("learning_rate", "nan", "learning_rate must be a number of at least 0, got nan"),
        ("learning_rate", "inf", "learning_rate must be a number of at least 0, got inf"),
        ("head_dropout", "1", "head_dropout must be below 1, got 1.0"),
        ("schedule", "sine", "schedule must be one of .*cosine.*, got 'sine'"),
    ],
)
def test_values_that_will_not_do(name, value, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        Settings().changed({name: value})


def test_all_problems_are_told_together():
    with pytest.raises(ConfigError) as caught:
        Settings().changed({"epoch": 3, "r": "x", "zzz": 1})
    message = str(caught.value)
    assert "unknown setting 'epoch'; did you mean epochs?" in message
    assert "r must be a whole number, got 'x'" in message
    assert "unknown setting 'zzz'; known: r, lora_alpha" in message
    with pytest.raises(ConfigError, match=r"epochs must be.*; batch_size must be"):
        Settings().changed({"epochs": 0, "batch_size": 0})


def test_every_setting_says_what_it_is_and_survives_json():
    assert all(field.metadata["help"] for field in fields(Settings))
    for method in METHODS.values():
        settings = method.settings
        assert Settings(**settings.to_dict()) == settings
