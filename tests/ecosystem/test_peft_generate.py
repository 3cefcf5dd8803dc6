"""`generate` of PEFT's common tests, for models that write."""

import pytest
import torch
from peft import get_peft_model
from transformers import GenerationConfig

import hyperadapters as ha

IDS = torch.tensor([2, -1, 0, 2, 6, -1])
families = pytest.mark.parametrize("family", ["llama", "t5"])
LONG = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False}


@families
def test_generate(adapted, prompt, family):
    model = adapted(family)
    written = model.generate(**prompt(family), annotator_ids=IDS, **LONG)
    assert written.shape[0] == len(IDS)
    others = model.generate(**prompt(family), annotator_ids=(IDS + 2).clamp(max=5), **LONG)
    assert not torch.equal(written, others)


def test_generate_pos_args(adapted, prompt):
    """PEFT's wrapper of encoder-decoders takes no positional arguments."""
    model, given = adapted("llama"), prompt("llama")
    wanted = model.generate(**given, annotator_ids=IDS, **LONG)
    ids = given.pop("input_ids")
    assert torch.equal(model.generate(ids, **given, annotator_ids=IDS, **LONG), wanted)


@families
def test_generate_half_prec(backbone, config, prompt, randomised, family):
    model = get_peft_model(backbone(family).to(torch.bfloat16), config(family))
    randomised(model)
    written = model.eval().generate(**prompt(family), annotator_ids=IDS, **LONG)
    alone = {name: value[:1] for name, value in prompt(family).items()}
    assert torch.equal(model.generate(**alone, annotator_ids=2, **LONG)[0], written[0])


BEAMS = {
    "beams as keyword": {"num_beams": 3},
    "beams in the configuration": {"generation_config": GenerationConfig(num_beams=3)},
    "several sequences": {"num_beams": 4, "num_return_sequences": 2},
    "static cache": {"cache_implementation": "static"},
}


@families
@pytest.mark.parametrize("way", BEAMS)
def test_generate_with_mixed_adapter_batches_and_beam_search(adapted, prompt, family, way):
    """A mixed batch writes what each row writes alone, however the rows are multiplied."""
    model, given = adapted(family), prompt(family)
    written = model.generate(**given, annotator_ids=IDS, **LONG, **BEAMS[way])
    copies = BEAMS[way].get("num_return_sequences", 1)
    assert written.shape[0] == len(IDS) * copies
    for row, annotator in enumerate(IDS):
        alone = {name: value[row : row + 1] for name, value in given.items()}
        got = model.generate(**alone, annotator_ids=annotator, **LONG, **BEAMS[way])
        assert torch.equal(got, written[row * copies : (row + 1) * copies])


@families
def test_a_mixture_writes(adapted, prompt, family):
    model, given = adapted(family), prompt(family)
    one = model.generate(**given, annotator_ids=3, **LONG)
    assert torch.equal(model.generate(**given, annotator_ids={3: 1.0}, **LONG), one)
    weights = torch.eye(7)[[3, 5, 3, 5, 3, 5]]
    rows = model.generate(**given, annotator_ids=weights, **LONG)
    indices = torch.tensor([3, 5, 3, 5, 3, 5])
    assert torch.equal(rows, model.generate(**given, annotator_ids=indices, **LONG))


@families
def test_sampling_is_reproducible(adapted, prompt, family):
    model, given = adapted(family), prompt(family)
    written = []
    for _ in range(2):
        torch.manual_seed(5)
        options = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": True}
        with ha.conditioned(model, annotator_ids=IDS):
            written.append(model.generate(**given, **options))
    assert torch.equal(*written)
