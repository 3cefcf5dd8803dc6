"""The recipe with LoRA in the decoder: where it lies, and the bottleneck beside it."""

from hyperadapters.adapters import LoRA
from hyperadapters.tuner import adapter_network


def test_lora_targets(build):
    def sites(**changes):
        network = adapter_network(build("hyperdecoder-lora", decoder_width=2, **changes).model)
        return {p.site.name.rsplit(".", 1)[-1] for p in network.spec.groups[1].placements}

    assert sites() >= {"q", "k", "v", "o", "wi_0", "wi_1", "wo"}
    assert sites(lora_targets="attention") == {"q", "v"}
    network = adapter_network(build("hyperdecoder-lora", decoder_width=2, alpha=3.0).model)
    assert {p.form.scale for p in network.spec.groups[1].placements} == {3.0}


def test_a_bottleneck_beside_the_decoders_lora(build):
    def groups(**changes):
        made = build("hyperdecoder-lora", decoder_width=2, **changes)
        return adapter_network(made.model).spec.groups

    _, lora, beside = groups(decoder_beside=3)
    assert {type(place.form) for place in lora.placements} == {LoRA}
    assert {place.form.width for place in beside.placements} == {3}
    assert beside.source == lora.source == "generated" and beside.conditions == lora.conditions
    assert len(groups(decoder_beside=0)) == 2
    assert len(groups(decoder_beside=3, decoder="none")) == 1
    assert len(groups(decoder_beside=3, decoder_form="bottleneck")) == 2
