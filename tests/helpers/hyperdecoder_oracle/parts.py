"""What the system is made of: a backbone, its adapters, and how they are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


Weights = Mapping[str, Array]  # names of T5ForConditionalGeneration.state_dict()


Mode = Literal["none", "manual", "manual_specific", "task", "generated"]


@dataclass(frozen=True)
class Backbone:
    """A T5 (§1.1): its sizes, and its weights under Hugging Face's names.

    v1.0 is `gated=False, tied=True` (relu feed-forward `wi`, `wo`; the head is `shared.weight`
    and its input is multiplied by d**-0.5). v1.1 is `gated=True, tied=False` (gelu_new(`wi_0`) ·
    `wi_1`, `wo`; the head is `lm_head.weight`, without a factor).
    """

    weights: Weights
    d_model: int
    d_kv: int
    num_heads: int
    num_layers: int
    num_decoder_layers: int
    gated: bool
    tied: bool
    num_buckets: int = 32
    max_distance: int = 128
    epsilon: float = 1e-6
    start: int = 0  # the decoder's first token: T5 takes its padding token
    eos: int = 1


@dataclass(frozen=True)
class Adapter:
    """Weights of one adapter (§1.2), matrices as (in, out): x @ down, not the nn.Linear layout."""

    down: Array  # (d, a)
    down_bias: Array  # (a,)
    up: Array  # (a, d)
    up_bias: Array  # (d,)


@dataclass(frozen=True)
class Mlp:
    """§1.3 "mlp": Linear → ReLU → Linear, matrices as nn.Linear has them, (out, in)."""

    first: Array  # (d, d)
    first_bias: Array  # (d,)
    second: Array  # (d, d)
    second_bias: Array  # (d,)


@dataclass(frozen=True)
class Generator:
    """§1.3: the parameter generator of one stack, in the letters of the specification.

    Every matrix stands left of its vector (`H_up @ u`), which is the layout of nn.Linear.
    """

    W1: Array  # (h, d + 10): the first d columns read z, the last ten the layer's embedding
    b1: Array  # (h,)
    layer_embedding: Array  # (L, 10)
    H_up: Array  # (a*d, h): the result is read row by row as (a, d)
    c_up: Array  # (a*d,)
    H_dn: Array  # (d*a, h): the result is read row by row as (d, a)
    c_dn: Array  # (d*a,)
    H_bu: Array  # (d, h)
    c_bu: Array  # (d,)
    H_bd: Array  # (a, h)
    c_bd: Array  # (a,)


@dataclass(frozen=True)
class Stack:
    """How one stack is adapted (§1.4). A mode reads only the fields named here.

    - "none": nothing.
    - "manual": `learned`, one adapter per block.
    - "manual_specific": `per_task[task][block]`.
    - "task": `task_embedding` (T, d) and `generator`; no mlp.
    - "generated", decoder: `generator`, and `mlp` unless it is None.
    - "generated", encoder: the same, and `learned` for the first of its two passes.
    """

    mode: Mode = "none"
    learned: Sequence[Adapter] = ()
    per_task: Sequence[Sequence[Adapter]] = ()
    task_embedding: Array | None = None
    generator: Generator | None = None
    mlp: Mlp | None = None
    adapter_norm_input: bool = False  # §1.2: the adapter reads RMSNorm(h) instead of h


@dataclass(frozen=True)
class System:
    """A backbone and what is added to its two stacks."""

    backbone: Backbone
    encoder: Stack = Stack()
    decoder: Stack = Stack()


@dataclass(frozen=True)
class Encoded:
    """What the decoder needs of one row."""

    states: Array  # (n, d): the encoder's last states, after its final norm
    mask: NDArray[np.bool_]  # (n,)
    encoder_adapters: list[Adapter] | None  # per block, of the (second) pass
    decoder_adapters: list[Adapter] | None  # per block


@dataclass(frozen=True)
class Hypothesis:
    """A finished beam: tokens from the start token to the end token, and its score."""

    tokens: list[int]
    score: float
