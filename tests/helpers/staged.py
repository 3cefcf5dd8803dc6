"""Models whose adapters are written from the encoder's output, and from a first pass."""

import pytest
import torch

import hyperadapters as ha
from hyperadapters import Group
from hyperadapters.tuner.conditioning import conditioning_of

# The other kinds of T5 are also in tests/families.
FURTHER = [pytest.param(name, marks=pytest.mark.slow) for name in ("T5 v1.1", "mT5")]
FAMILIES = ["T5", "BART", "EncoderDecoder", *FURTHER]
STAGES = ["encoder", "first-pass", "both"]
KINDS = {
    "published": ("hyperdecoder", "bottleneck"),
    "published LoRA": ("hyperdecoder", "lora"),
    "mlp": ("mlp", "lora"),
    "mlp bottleneck": ("mlp", "bottleneck"),
    "basis": ("basis", "lora"),
    "chunked": ("chunked", "bottleneck"),
}
TWO_KINDS = ["published", "mlp"]
TASKS = torch.tensor([2, 0, 1, 0])
WRITING = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False}
WAYS = {
    "greedy": {},
    "beams": {"num_beams": 3},
    "sampling": {"do_sample": True, "top_k": 1, "num_return_sequences": 2},
    "all beams": {"num_beams": 3, "num_return_sequences": 3},
}


def described(stages, kind, *, tasks=False):
    """Configuration: learned adapters wherever nothing is written."""
    hypernetwork, form = KINDS[kind]
    published = hypernetwork == "hyperdecoder"
    reading = {"reading": "plain"} if published else {}
    size = {"form": form, "width" if form == "bottleneck" else "r": 3}
    more = ("tasks",) if tasks else ()
    conditions, groups = {"tasks": ha.Lookup(3)} if tasks else {}, []
    if stages == "encoder":
        groups.append(Group(source="learned", conditions=(), stack="encoder", **size))
    else:
        conditions["read_first"] = ha.Instance(source="first-pass", **reading)
        first = Group(source="learned", conditions=(), stack="encoder", first_pass=True, **size)
        groups += [first, Group(conditions=("read_first", *more), stack="encoder", **size)]
    if stages == "first-pass":
        groups.append(Group(source="learned", conditions=(), stack="decoder", **size))
    else:
        conditions["encoded"] = ha.Instance(source="encoder", **reading)
        groups.append(Group(conditions=("encoded", *more), stack="decoder", **size))
    start = "near-zero" if published else "zero-change"
    return {
        "conditions": conditions,
        "groups": groups,
        "hypernetwork": hypernetwork,
        "start": start,
        "chunk_width": 32,
        "n_basis": 3,
    }


def counted(model):
    """How often each source writes from now on."""
    calls = [0] * len(ha.adapter_network(model).sources)
    for number, source in enumerate(ha.adapter_network(model).sources):

        def count(*_, number=number):
            calls[number] += 1

        source.register_forward_pre_hook(count)
    return calls


def written_from(model, name):
    """What the networks get under this name, call by call."""
    seen = []
    for network in conditioning_of(model).tuner.hyperadapter_network.values():
        network.register_forward_pre_hook(
            lambda _, args: seen.append(args[0][name]) if name in args[0] else None
        )
    return seen


def assert_nothing_is_left(model):
    conditioning = conditioning_of(model)
    assert conditioning.active is None and conditioning.enabled and conditioning.waiting == {}
    assert not conditioning._thread
    assert all(span._input is None for span in conditioning.tuner._injection.spans)


def source_only(batch):
    return {name: value for name, value in batch.items() if not name.startswith("decoder_")}


def read_twice(**changes):
    """Learned adapters in the first pass, written ones in the second."""
    first = Group(source="learned", conditions=(), r=2, first_pass=True)
    return {
        "conditions": {"read_first": ha.Instance(source="first-pass")},
        "groups": [first, Group(r=2)],
        **changes,
    }
