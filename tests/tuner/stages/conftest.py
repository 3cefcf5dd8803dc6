"""Adapters that are written in stages, and double precision."""

import pytest
import torch

from staged import described


@pytest.fixture
def adapted(zoo):
    def make(family, stages="both", kind="mlp", *, tasks=False, random=True, **changes):
        case = zoo.Case(family, "SEQ_2_SEQ_LM")
        config = {**described(stages, kind, tasks=tasks), **changes}
        model = zoo.make_adapted(case, random=random, **config)
        return model, zoo.make_batch(case)

    return make


@pytest.fixture
def exact():
    """Numbers of the conditions, too, in double precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
