"""Numbers of parameters (§1.11)."""

from hyperdecoder_oracle.parts import Mode

LAYER_EMBEDDING_WIDTH = 10  # §1.3


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
