"""T5 (§1.1), with adapters beside its feed-forward sub-layers (§1.2)."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperdecoder_oracle.parts import Adapter, Array, Backbone, Encoded, Stack, System


def adapter(weights: Adapter, x: Array) -> Array:
    """§1.2: ReLU(x W_down + b_down) W_up + b_up, of one position (d,)."""
    return np.maximum(x @ weights.down + weights.down_bias, 0.0) @ weights.up + weights.up_bias


def encoder_pass(
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


def decode_row(system: System, ids: list[int], row: Encoded) -> Array:
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


def rms_norm_forward(module: Any, hidden_states: Any) -> Any:
    """In place of `T5LayerNorm.forward`, in the precision of its input."""
    variance = hidden_states.pow(2).mean(-1, keepdim=True)
    return module.weight * hidden_states / (variance + module.variance_epsilon) ** 0.5
