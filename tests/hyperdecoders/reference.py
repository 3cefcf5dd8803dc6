"""The Hyperdecoder system once more, slowly: the oracle of the tests.

Written from the specification alone, `shared/specs/hyperdecoders.md` ("§"), in numpy float64 with
loops over rows, layers, heads and positions. One row (example) is computed at a time, so no row
can influence another one. Evaluation mode only: there is no dropout anywhere.

Shapes: d = `d_model`, a = bottleneck of an adapter, h = width of the generator, L = number of
layers of the stack, T = number of tasks, V = size of the vocabulary.

Hugging Face's `T5LayerNorm` computes its variance in float32 even in a float64 model. A comparison
to 1e-10 has to replace its `forward` by `rms_norm_forward` below.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Weights = Mapping[str, Array]  # names of T5ForConditionalGeneration.state_dict()
Mode = Literal["none", "manual", "manual_specific", "task", "generated"]

LAYER_EMBEDDING_WIDTH = 10  # §1.3

# ------------------------------------------------------------------------------------------------
# Containers
# ------------------------------------------------------------------------------------------------


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


# ------------------------------------------------------------------------------------------------
# The whole system
# ------------------------------------------------------------------------------------------------


def logits(
    system: System,
    input_ids: ArrayLike,  # (rows, n)
    attention_mask: ArrayLike,  # (rows, n): 1 = token, 0 = padding, on whichever side
    decoder_input_ids: ArrayLike,  # (rows, m), beginning with the start token
    tasks: Sequence[int] | None = None,  # (rows,)
) -> Array:
    """Teacher-forced logits (rows, m, V). The decoder masks nothing but the future."""
    found = []
    for row, decoder_ids in zip(
        encode(system, input_ids, attention_mask, tasks), np.asarray(decoder_input_ids), strict=True
    ):
        found.append(_decode_row(system, decoder_ids.tolist(), row))
    return np.stack(found)


def encode(
    system: System,
    input_ids: ArrayLike,
    attention_mask: ArrayLike,
    tasks: Sequence[int] | None = None,
) -> list[Encoded]:
    """The encoder's states of every row, and the adapters that it leads to."""
    ids = np.asarray(input_ids)
    masks = np.asarray(attention_mask)
    return [
        encode_row(system, ids[r].tolist(), masks[r], None if tasks is None else int(tasks[r]))
        for r in range(len(ids))
    ]


def greedy(
    system: System,
    input_ids: ArrayLike,
    attention_mask: ArrayLike,
    max_length: int,
    min_length: int = 0,
    tasks: Sequence[int] | None = None,
) -> list[list[int]]:
    """§1.5, greedily: per row the tokens from the start token up to and with the end token.

    `max_length` and `min_length` count the start token, as in Hugging Face's `generate`: the end
    token is forbidden as long as the sequence is shorter than `min_length`.
    """
    found = []
    for row in encode(system, input_ids, attention_mask, tasks):
        tokens = [system.backbone.start]
        while len(tokens) < max_length:
            scores = _decode_row(system, tokens, row)[-1]
            if len(tokens) < min_length:
                scores[system.backbone.eos] = -math.inf
            tokens.append(int(np.argmax(scores)))
            if tokens[-1] == system.backbone.eos:
                break
        found.append(tokens)
    return found


def beam_search(
    system: System,
    input_ids: ArrayLike,
    attention_mask: ArrayLike,
    num_beams: int,
    max_length: int,
    min_length: int = 0,
    tasks: Sequence[int] | None = None,
) -> list[list[Hypothesis]]:
    """§1.5 with beams: per row the finished beams, best first (at most `num_beams` of them).

    The semantics are those of Hugging Face's defaults, see `beam_search_row`. All beams of a row
    have the same encoder states and the same adapters.
    """
    found = []
    for row in encode(system, input_ids, attention_mask, tasks):

        def next_scores(tokens: list[int], row: Encoded = row) -> Array:
            return _log_softmax(_decode_row(system, tokens, row)[-1])

        hypotheses = beam_search_row(
            next_scores,
            num_beams,
            max_length,
            min_length,
            system.backbone.start,
            system.backbone.eos,
        )
        found.append(hypotheses)
    return found


def beam_search_row(
    next_scores: Callable[[list[int]], Array],
    num_beams: int,
    max_length: int,
    min_length: int,
    start: int,
    eos: int,
) -> list[Hypothesis]:
    """Beam search with length_penalty 1.0, early_stopping False and one end token.

    1. At every step the 2 · num_beams best one-token continuations of all running beams are the
       candidates, by the sum of their log-probabilities. A forbidden end token (`min_length`)
       gets −∞ after the softmax; the others are not renormalised.
    2. A candidate stops if it ends with the end token or has `max_length` tokens. If it stops and
       is among the first num_beams candidates, it is finished, with the score sum / (number of
       tokens without the start token); if it stops further down, it is lost.
    3. The num_beams best finished ones are kept.
    4. The num_beams best candidates that have not stopped run on.
    5. The search ends when nothing runs on, or when num_beams are finished and the best running
       beam, divided by its present length, is not better than the worst finished one.
    """
    running = [(0.0, [start])]
    finished: list[Hypothesis] = []
    while True:
        candidates = []
        for total, tokens in running:
            scores = next_scores(tokens).copy()
            if len(tokens) < min_length:
                scores[eos] = -math.inf
            for token, score in enumerate(scores):
                candidates.append((total + float(score), [*tokens, token]))
        candidates.sort(key=lambda pair: -pair[0])  # stable
        running = []
        for place, (total, tokens) in enumerate(candidates[: 2 * num_beams]):
            if tokens[-1] == eos or len(tokens) == max_length:
                if place < num_beams:
                    finished.append(Hypothesis(tokens, total / (len(tokens) - 1)))
            else:
                running.append((total, tokens))
        finished.sort(key=lambda hypothesis: -hypothesis.score)
        del finished[num_beams:]
        del running[num_beams:]
        if not running:
            return finished
        best, longest = running[0]
        if len(finished) == num_beams and best / (len(longest) - 1) <= finished[-1].score:
            return finished


# ------------------------------------------------------------------------------------------------
# One row through the two stacks, and the modes of §1.4
# ------------------------------------------------------------------------------------------------


def encode_row(system: System, ids: list[int], mask: ArrayLike, task: int | None) -> Encoded:
    """Encoder of one row, and the adapters of both stacks."""
    keep = np.asarray(mask).astype(bool)
    encoder, decoder = system.encoder, system.decoder
    adapters: list[Adapter] | None
    if encoder.mode == "generated":
        # §1.4: pass 1 with the learned adapters, pass 2 with those generated from it.
        first = _encoder_pass(system, ids, keep, list(encoder.learned))
        adapters = instance_adapters(encoder, pooled(first, keep))
    else:
        adapters = _fixed_adapters(encoder, task)
    states = _encoder_pass(system, ids, keep, adapters)
    if decoder.mode == "generated":
        # §1.3, §1.4: from the encoder output that the decoder sees, adapted or not.
        decoder_adapters = instance_adapters(decoder, pooled(states, keep))
    else:
        decoder_adapters = _fixed_adapters(decoder, task)
    return Encoded(states, keep, adapters, decoder_adapters)


def _fixed_adapters(stack: Stack, task: int | None) -> list[Adapter] | None:
    """§1.4: the adapters of a stack in the modes that do not look at the input."""
    if stack.mode == "none":
        return None
    if stack.mode == "manual":
        return list(stack.learned)
    assert task is not None, f"mode {stack.mode} needs `tasks`"
    if stack.mode == "manual_specific":
        return list(stack.per_task[task])
    assert stack.mode == "task"
    assert stack.generator is not None and stack.task_embedding is not None
    z = stack.task_embedding[task]
    return [generate(stack.generator, z, i) for i in range(len(stack.generator.layer_embedding))]


def instance_adapters(stack: Stack, vector: Array) -> list[Adapter]:
    """§1.3: the adapters of a stack for one pooled vector (d,)."""
    assert stack.generator is not None
    z = vector if stack.mlp is None else mlp(stack.mlp, vector)
    return [generate(stack.generator, z, i) for i in range(len(stack.generator.layer_embedding))]


def pooled(states: Array, mask: ArrayLike) -> Array:
    """§1.3: sum_t mask_t · H_t / sum_t mask_t."""
    total = np.zeros(states.shape[1])
    count = 0
    for t, keep in enumerate(np.asarray(mask)):
        if keep:
            total = total + states[t]
            count += 1
    return total / count


def mlp(weights: Mlp, vector: Array) -> Array:
    """§1.3: Linear → ReLU → Linear."""
    hidden = np.maximum(weights.first @ vector + weights.first_bias, 0.0)
    return weights.second @ hidden + weights.second_bias


def generate(generator: Generator, z: Array, layer: int) -> Adapter:
    """§1.3: the adapter of one layer."""
    u = generator.W1 @ np.concatenate([z, generator.layer_embedding[layer]]) + generator.b1
    u = np.maximum(u, 0.0)
    up = generator.H_up @ u + generator.c_up
    down = generator.H_dn @ u + generator.c_dn
    d, a = len(generator.c_bu), len(generator.c_bd)
    return Adapter(  # §1.2: row-major, (d, a) and (a, d)
        down=np.array([[down[i * a + j] for j in range(a)] for i in range(d)]),
        down_bias=generator.H_bd @ u + generator.c_bd,
        up=np.array([[up[j * d + i] for i in range(d)] for j in range(a)]),
        up_bias=generator.H_bu @ u + generator.c_bu,
    )


def adapter(weights: Adapter, x: Array) -> Array:
    """§1.2: ReLU(x W_down + b_down) W_up + b_up, of one position (d,)."""
    return np.maximum(x @ weights.down + weights.down_bias, 0.0) @ weights.up + weights.up_bias


# ------------------------------------------------------------------------------------------------
# T5 (§1.1)
# ------------------------------------------------------------------------------------------------


def _encoder_pass(
    system: System, ids: list[int], keep: NDArray[np.bool_], adapters: list[Adapter] | None
) -> Array:
    """The encoder of one row: (n, d), after the final norm."""
    t5 = system.backbone
    states = np.stack([t5.weights["shared.weight"][i] for i in ids])
    visible = [[bool(keep[key]) for key in range(len(ids))] for _ in ids]
    bias = _position_bias(t5, "encoder", len(ids))
    for block in range(t5.num_layers):
        name = f"encoder.block.{block}.layer"
        states = _attend(t5, f"{name}.0", "SelfAttention", states, None, visible, bias)
        states = _feed_forward(
            t5, f"{name}.1", states, adapters[block] if adapters else None, system.encoder
        )
    return _rms_norm(t5, "encoder.final_layer_norm", states)


def _decode_row(system: System, ids: list[int], row: Encoded) -> Array:
    """The decoder of one row and the head: logits (m, V)."""
    t5 = system.backbone
    states = np.stack([t5.weights["shared.weight"][i] for i in ids])
    past = [[key <= query for key in range(len(ids))] for query in range(len(ids))]
    visible = [[bool(keep) for keep in row.mask] for _ in ids]
    bias = _position_bias(t5, "decoder", len(ids))
    adapters = row.decoder_adapters
    for block in range(t5.num_decoder_layers):
        name = f"decoder.block.{block}.layer"
        states = _attend(t5, f"{name}.0", "SelfAttention", states, None, past, bias)
        states = _attend(t5, f"{name}.1", "EncDecAttention", states, row.states, visible, None)
        states = _feed_forward(
            t5, f"{name}.2", states, adapters[block] if adapters else None, system.decoder
        )
    states = _rms_norm(t5, "decoder.final_layer_norm", states)
    if t5.tied:
        head = t5.weights["shared.weight"]
        states = states * t5.d_model**-0.5
    else:
        head = t5.weights["lm_head.weight"]
    return np.stack([head @ state for state in states])


def _feed_forward(
    t5: Backbone, name: str, states: Array, weights: Adapter | None, stack: Stack
) -> Array:
    """§1.2: out = h + FF(RMSNorm(h)) + Adapter(h or RMSNorm(h)), position by position."""
    inner = f"{name}.DenseReluDense"
    normed = _rms_norm(t5, f"{name}.layer_norm", states)
    out = np.empty_like(states)
    for t in range(len(states)):
        if t5.gated:
            hidden = _gelu_new(t5.weights[f"{inner}.wi_0.weight"] @ normed[t])
            hidden = hidden * (t5.weights[f"{inner}.wi_1.weight"] @ normed[t])
        else:
            hidden = np.maximum(t5.weights[f"{inner}.wi.weight"] @ normed[t], 0.0)
        out[t] = states[t] + t5.weights[f"{inner}.wo.weight"] @ hidden
        if weights is not None:
            out[t] += adapter(weights, normed[t] if stack.adapter_norm_input else states[t])
    return out


def _attend(
    t5: Backbone,
    name: str,
    module: str,
    states: Array,  # (queries, d)
    memory: Array | None,  # (keys, d) of cross-attention; None: self-attention
    visible: list[list[bool]],  # [query][key]
    bias: Array | None,  # (heads, queries, keys)
) -> Array:
    """h + Attention(RMSNorm(h)): unscaled scores, hidden keys are left out of the softmax."""
    normed = _rms_norm(t5, f"{name}.layer_norm", states)
    source = normed if memory is None else memory
    query_of, key_of, value_of, output_of = (
        t5.weights[f"{name}.{module}.{part}.weight"] for part in "qkvo"
    )
    queries = [query_of @ x for x in normed]
    keys = [key_of @ x for x in source]
    values = [value_of @ x for x in source]
    out = np.empty_like(states)
    for i in range(len(states)):
        heads = []
        for head in range(t5.num_heads):
            part = slice(head * t5.d_kv, (head + 1) * t5.d_kv)
            seen = [j for j in range(len(source)) if visible[i][j]]
            scores = np.array([queries[i][part] @ keys[j][part] for j in seen])
            if bias is not None:
                scores = scores + np.array([bias[head, i, j] for j in seen])
            shares = np.exp(scores - scores.max())
            shares = shares / shares.sum()
            total = np.zeros(t5.d_kv)
            for share, j in zip(shares, seen, strict=True):
                total = total + share * values[j][part]
            heads.append(total)
        out[i] = states[i] + output_of @ np.concatenate(heads)
    return out


def _position_bias(t5: Backbone, stack: str, length: int) -> Array:
    """(heads, queries, keys): the table of the first block serves every block of its stack."""
    table = t5.weights[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    bias = np.empty((t5.num_heads, length, length))
    for query in range(length):
        for key in range(length):
            bucket = position_bucket(
                key - query, stack == "encoder", t5.num_buckets, t5.max_distance
            )
            bias[:, query, key] = table[bucket]
    return bias


def position_bucket(distance: int, bidirectional: bool, num_buckets: int, max_distance: int) -> int:
    """Bucket of distance = key position − query position.

    Half of the buckets hold one distance each, the others grow logarithmically up to
    `max_distance`. In whole numbers: the logarithmic one is the largest s with
    distance >= exact · (max_distance / exact) ** (s / rest).
    """
    offset = 0
    if bidirectional:
        num_buckets //= 2
        offset = num_buckets if distance > 0 else 0
        distance = abs(distance)
    else:
        distance = max(-distance, 0)
    exact = num_buckets // 2
    if distance < exact:
        return offset + distance
    rest = num_buckets - exact
    step = 0
    while step + 1 < rest and (
        distance**rest >= exact ** (rest - step - 1) * max_distance ** (step + 1)
    ):
        step += 1
    return offset + exact + step


def _rms_norm(t5: Backbone, name: str, states: Array) -> Array:
    """x · weight / sqrt(mean(x²) + epsilon): no mean is subtracted, no bias is added."""
    weight = t5.weights[f"{name}.weight"]
    return np.stack([x * weight / math.sqrt(np.mean(x * x) + t5.epsilon) for x in states])


def _gelu_new(x: Array) -> Array:
    """The tanh approximation of gelu."""
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _log_softmax(scores: Array) -> Array:
    shifted = scores - scores.max()
    return shifted - math.log(np.exp(shifted).sum())


def rms_norm_forward(module: Any, hidden_states: Any) -> Any:
    """In place of `T5LayerNorm.forward`, in the precision of its input."""
    variance = hidden_states.pow(2).mean(-1, keepdim=True)
    return module.weight * hidden_states / (variance + module.variance_epsilon) ** 0.5


# ------------------------------------------------------------------------------------------------
# Numbers of parameters (§1.11)
# ------------------------------------------------------------------------------------------------


def adapter_parameters(d: int, a: int) -> int:
    """One adapter of one block: 2da + a + d."""
    return 2 * d * a + a + d


def generator_parameters(d: int, num_layers: int, a: int, h: int) -> int:
    """Layer embeddings, first layer, and the heads of up and down, of b_up, and of b_down."""
    return (
        LAYER_EMBEDDING_WIDTH * num_layers
        + (d + LAYER_EMBEDDING_WIDTH) * h
        + h
        + 2 * (h * d * a + d * a)
        + (h * d + d)
        + (h * a + a)
    )


def mlp_parameters(d: int) -> int:
    """Two square Linear layers: 2(d² + d)."""
    return 2 * (d * d + d)


def task_embedding_parameters(d: int, num_tasks: int) -> int:
    """T · d."""
    return num_tasks * d


def stack_parameters(
    mode: Mode,
    *,
    encoder: bool,
    d: int,
    num_layers: int,
    a: int,
    h: int = 0,
    num_tasks: int = 0,
    with_mlp: bool = True,
    unused: bool = False,
) -> int:
    """What one stack adds to the backbone.

    `unused` counts as the reference prints: with the learned adapters that a stack in task mode,
    and a decoder in generated mode, has but never calls. The learned adapters of an encoder in
    generated mode are those of its first pass, and always count.
    """
    learned = num_layers * adapter_parameters(d, a)
    if mode == "none":
        return 0
    if mode == "manual":
        return learned
    if mode == "manual_specific":
        return num_tasks * learned
    total = generator_parameters(d, num_layers, a, h)
    if mode == "task":
        total += task_embedding_parameters(d, num_tasks)
        return total + learned if unused else total
    if with_mlp:
        total += mlp_parameters(d)
    return total + learned if encoder or unused else total
