"""T5 in the precision of its inputs."""

import pytest
from transformers.models.t5.modeling_t5 import T5LayerNorm

from hyperdecoder_oracle import rms_norm_forward


@pytest.fixture(autouse=True)
def float64_norm(monkeypatch):
    # Hugging Face takes the variance in float32, whatever the model is.
    monkeypatch.setattr(T5LayerNorm, "forward", rms_norm_forward)
