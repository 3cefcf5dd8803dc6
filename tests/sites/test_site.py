import pytest

from hyperadapters.errors import SiteError
from hyperadapters.sites import DEFAULT_TARGETS, Site


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("bert.encoder.layer.11.attention.self.query", 11),
        ("model.layers.0.mlp.experts.3.up_proj", 0),
        ("0.query", 0),
        ("classifier", None),
        ("layer12.query", None),
    ],
)
def test_the_layer_is_the_first_number_in_the_path(name, layer):
    assert Site(name, 4, 4).layer == layer


@pytest.mark.parametrize("widths", [(0, 4), (4, 0), (-1, 4)])
def test_widths_must_be_positive(widths):
    with pytest.raises(SiteError, match=r"a\.b: widths must be positive, got "):
        Site("a.b", *widths)


def test_default_targets_are_lists_of_their_own():
    # PEFT hands them on to configurations, which users may change.
    assert len({id(targets) for targets in DEFAULT_TARGETS.values()}) == len(DEFAULT_TARGETS)
    assert DEFAULT_TARGETS["bert"] == ["query", "value"]
