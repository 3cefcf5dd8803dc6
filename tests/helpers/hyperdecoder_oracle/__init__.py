"""The Hyperdecoder system once more, slowly: the oracle of the tests.

Written from the specification alone, `shared/specs/hyperdecoders.md` ("§"), in numpy float64 with
loops over rows, layers, heads and positions. One row (example) is computed at a time, so no row
can influence another one. Evaluation mode only: there is no dropout anywhere.

Shapes: d = `d_model`, a = bottleneck of an adapter, h = width of the generator, L = number of
layers of the stack, T = number of tasks, V = size of the vocabulary.

Hugging Face's `T5LayerNorm` computes its variance in float32 even in a float64 model. A comparison
to 1e-10 has to replace its `forward` by `rms_norm_forward` below.
"""

from hyperdecoder_oracle.adapters import (
    encode,
    encode_row,
    generate,
    instance_adapters,
    mlp,
    pooled,
)
from hyperdecoder_oracle.counts import (
    adapter_parameters,
    generator_parameters,
    mlp_parameters,
    stack_parameters,
    task_embedding_parameters,
)
from hyperdecoder_oracle.decoding import beam_search, beam_search_row, greedy, logits
from hyperdecoder_oracle.parts import (
    Adapter,
    Backbone,
    Encoded,
    Generator,
    Hypothesis,
    Mlp,
    Stack,
    System,
)
from hyperdecoder_oracle.t5 import adapter, position_bucket, rms_norm_forward

__all__ = [
    "Adapter",
    "Backbone",
    "Encoded",
    "Generator",
    "Hypothesis",
    "Mlp",
    "Stack",
    "System",
    "adapter",
    "adapter_parameters",
    "beam_search",
    "beam_search_row",
    "encode",
    "encode_row",
    "generate",
    "generator_parameters",
    "greedy",
    "instance_adapters",
    "logits",
    "mlp",
    "mlp_parameters",
    "pooled",
    "position_bucket",
    "rms_norm_forward",
    "stack_parameters",
    "task_embedding_parameters",
]
