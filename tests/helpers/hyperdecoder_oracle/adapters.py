"""Where the adapters of a row come from: the modes of §1.4."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from hyperdecoder_oracle.parts import Adapter, Array, Encoded, Generator, Mlp, Stack, System
from hyperdecoder_oracle.t5 import encoder_pass


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


def encode_row(system: System, ids: list[int], mask: ArrayLike, task: int | None) -> Encoded:
    """Encoder of one row, and the adapters of both stacks."""
    keep = np.asarray(mask).astype(bool)
    encoder, decoder = system.encoder, system.decoder
    adapters: list[Adapter] | None
    if encoder.mode == "generated":
        # §1.4: pass 1 with the learned adapters, pass 2 with those generated from it.
        first = encoder_pass(system, ids, keep, list(encoder.learned))
        adapters = instance_adapters(encoder, pooled(first, keep))
    else:
        adapters = _fixed_adapters(encoder, task)
    states = encoder_pass(system, ids, keep, adapters)
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
