import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters import HyperAdapterConfig, Lookup
from hyperadapters.errors import ConfigError
from hyperadapters.tuner.names import RESERVED


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"r": 0}, "the LoRA rank r must be at least 1, got 0"),
        ({"lora_alpha": 0}, "lora_alpha must be a positive number, got 0"),
        ({"lora_alpha": math.inf}, "lora_alpha must be a positive number, got inf"),
        ({"lora_dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"condition_dropout": -0.1}, r"condition_dropout must be in \[0, 1\), got -0.1"),
        ({"hypernetwork_dropout": 2.0}, r"hypernetwork_dropout must be in \[0, 1\), got 2.0"),
        ({"condition_width": 0}, "condition_width must be at least 1, got 0"),
        ({"site_width": 0}, "site_width must be at least 1, got 0"),
        ({"hidden_width": -3}, "hidden_width must be at least 1, got -3"),
        ({"taste_rank": -1}, "taste_rank must be at least 0, got -1"),
        ({"condition_noise": -0.5}, "condition_noise must be at least 0, got -0.5"),
        ({"conditions": {"a": {"kind": "prose"}}}, "unknown kind of condition 'prose'"),
        (
            {"conditions": {"a": {"kind": "lookup", "size": 0}}},
            "Lookup needs a size of at least 1, got 0",
        ),
    ],
)
def test_fields_out_of_range(changes, message):
    with pytest.raises(ConfigError, match=message):
        HyperAdapterConfig(**changes)


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("hypernetwork", "one of 'mlp', 'basis', 'chunked', 'two-tower', 'hyperdecoder'"),
        ("bias_source", "one of 'generated', 'per-condition', 'none'"),
        ("output_source", "one of 'shared', 'per-condition'"),
    ],
)
def test_choices(field, wanted):
    config = HyperAdapterConfig()
    # Set afterwards, because beartype, which only the tests have, would be the first to refuse.
    setattr(config, field, "free")
    with pytest.raises(ConfigError, match=f"{field} must be {wanted}, got 'free'"):
        config.__post_init__()


@pytest.mark.parametrize(
    "name",
    [
        *sorted(RESERVED),
        "decoder_ids",
        "keys",
        "type",
        "num_beams",
        "class",
        "annotator-ids",
        "7",
        "",
    ],
)
def test_names_that_a_condition_cannot_have(name):
    with pytest.raises(ConfigError, match=f"a condition cannot be called '{name}'"):
        HyperAdapterConfig(conditions={name: Lookup(3)})


@settings(max_examples=25, deadline=None)
@given(
    names=st.lists(st.sampled_from(["a_ids", "b_ids", "c_ids"]), unique=True, max_size=3),
    size=st.integers(1, 900),
    width=st.none() | st.integers(1, 99),
    unknown=st.sampled_from(["population", "error", "base"]),
    targets=st.none() | st.just("all-linear") | st.lists(st.sampled_from("qkvo"), unique=True),
    alpha=st.floats(0.1, 99) | st.integers(1, 99),
    layers=st.none() | st.lists(st.integers(0, 11), unique=True),
    noise=st.floats(0, 2),
)
def test_folder_and_back(
    tmp_path_factory, names, size, width, unknown, targets, alpha, layers, noise
):
    config = HyperAdapterConfig(
        task_type="SEQ_CLS",
        conditions={name: Lookup(size + i, width, unknown) for i, name in enumerate(names)},
        target_modules=targets,
        lora_alpha=alpha,
        deviating_layers=layers,
        condition_noise=noise,
    )
    folder = tmp_path_factory.mktemp("config")
    config.save_pretrained(str(folder))
    again = HyperAdapterConfig.from_pretrained(str(folder))
    assert again == config
    assert list(again.declared) == sorted(names)
    assert again.declared == {
        name: Lookup(size + i, width, unknown) for i, name in enumerate(names)
    }


def test_sets_are_written_in_order():
    written = HyperAdapterConfig(target_modules=["v", "q", "k"], exclude_modules={"z", "a"})
    assert written.target_modules == {"q", "k", "v"}
    data = written.to_dict()
    assert data["target_modules"] == ["k", "q", "v"] and data["exclude_modules"] == ["a", "z"]


def test_without_a_head_nothing_is_generated_for_it():
    config = HyperAdapterConfig(conditions={"a": Lookup(3)})
    spec = config.network_spec([])
    assert (spec.shift, spec.bias_source, spec.taste_rank) == (False, "none", 0)
    spec = config.network_spec([], head_width=32, n_labels=3)
    assert (spec.shift, spec.bias_source, spec.taste_rank) == (True, "generated", 16)
    stored = HyperAdapterConfig(conditions={"a": Lookup(3)}, bias_source="per-condition")
    assert stored.network_spec([], head_width=32, n_labels=3).taste_rank == 0
    stored = HyperAdapterConfig(conditions={"a": Lookup(3)}, output_source="per-condition")
    assert stored.network_spec([]).output_source == "shared"


def test_scale():
    def scale(**fields) -> float:
        return (
            HyperAdapterConfig(r=4, lora_alpha=16, **fields).resolved_groups[0].form_at("q").scale
        )

    assert scale() == 4 and scale(use_rslora=True) == 8
