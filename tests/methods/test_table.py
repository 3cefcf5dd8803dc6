import pytest

from hyperadapters.cli.options import METHOD_NAMES
from hyperadapters.errors import ConfigError
from hyperadapters.methods import DEFAULT_METHOD, METHODS, find_method

NAMES = [
    *("hyperlora", "hyperlora-paper", "hyperlora+attributes", "attributes-only", "text-only"),
    *("intercept", "annotator-embedding", "multi-head", "user-token", "lora-per-annotator"),
    *("majority", "global-mode", "annotator-mode"),
]


def test_names_are_those_that_were_promised():
    assert list(METHODS) == NAMES
    assert ", ".join(METHODS) == METHOD_NAMES
    assert DEFAULT_METHOD == "hyperlora"
    assert all(method.name == name and method.summary for name, method in METHODS.items())


def test_kinds_and_stages():
    counting = {name for name, method in METHODS.items() if method.kind == "counting"}
    assert counting == {"global-mode", "annotator-mode"}
    deviating = {"hyperlora", "hyperlora+attributes", "attributes-only"}
    assert {name for name, method in METHODS.items() if method.has_deviations} == deviating
    of_lora = {
        m.name for m in METHODS.values() if m.is_staged(m.settings.changed({"deviation": "lora"}))
    }
    assert of_lora == deviating
    of_head = [
        m for m in METHODS.values() if m.is_staged(m.settings.changed({"deviation": "head"}))
    ]
    assert not of_head


def test_the_published_recipe():
    """Ignatev et al. 2025: the numbers of the paper, which no tuning may move."""
    settings = find_method("hyperlora-paper").settings
    assert (settings.r, settings.lora_alpha, settings.lora_dropout) == (2, 32.0, 0.1)
    assert settings.adapted_layers == 0  # all of them
    assert (settings.condition_width, settings.site_width, settings.hidden_width) == (768,) * 3
    assert (settings.hypernetwork_dropout, settings.head_dropout) == (0.25, 0.1)
    assert (settings.epochs, settings.batch_size, settings.max_length) == (20, 100, 100)
    rates = settings.learning_rate, settings.condition_learning_rate
    assert (*rates, settings.weight_decay) == (5e-5, 5e-5, 0.01)
    assert (settings.schedule, settings.warmup_epochs) == ("linear", 1.0)
    assert (settings.patience, settings.evaluations_per_epoch) == (15, 2)
    # Nothing of ours is in it.
    assert (settings.condition_noise, settings.condition_dropout, settings.shrinkage) == (0, 0, 0)
    assert (settings.shared_epochs, settings.batches_by_text) == (0, False)
    weights = find_method("hyperlora-paper").weights
    assert weights == {
        **{"source": "generated", "hypernetwork": "two-tower"},
        **{"bias_source": "none", "shift": False},
    }


def test_the_baselines_share_one_adapter():
    for name, bias in (("text-only", "none"), ("intercept", "per-condition")):
        wanted = {"source": "learned", "shift": False, "bias_source": bias, "start": "lora"}
        assert find_method(name).weights == wanted


@pytest.mark.parametrize(
    ("name", "near"),
    [("hyperlore", "hyperlora"), ("text_only", "text-only"), ("annotator-mod", "annotator-mode")],
)
def test_near_misses_are_named(name, near):
    with pytest.raises(ConfigError, match=f"unknown method '{name}'; did you mean '{near}'"):
        find_method(name)


def test_all_are_named_where_nothing_is_near():
    with pytest.raises(ConfigError) as caught:
        find_method("xyz")
    assert "did you mean" not in str(caught.value)
    assert all(name in str(caught.value) for name in NAMES)
