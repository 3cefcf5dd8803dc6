"""Which rows are in which batch, when tasks are learned together."""

import numpy as np

from hyperadapters.errors import ConfigError
from hyperadapters.tasks import Sampling


def epoch_batches(
    task_of_row: np.ndarray, batch_size: int, sampling: Sampling, seed: int, epoch: int
) -> list[np.ndarray]:
    """The batches of an epoch: about as many rows as there are.

    With temperature 1 and mixed batches every row comes once, in random order; the last batch may
    be short. Otherwise tasks are drawn with probability proportional to (n_i / N)^(1/T), one for
    every place of a batch or one for the whole batch, and rows of the task with replacement; all
    batches are full (HyperFormer, Karimi Mahabadi et al., 2021). T = infinity: tasks all alike.

    Args:
        task_of_row: Task of every row, shape ``(rows,)``, integers.
        batch_size: Rows a batch.
        sampling: Temperature, and whether a batch is of one task.
        seed: Seed of the run.
        epoch: Number of the epoch; the same seed and epoch give the same batches.

    Returns:
        ceil(rows / batch_size) arrays of positions of rows.

    Raises:
        ConfigError: The batch size is below 1, or the seed or the epoch below 0.
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
    if seed < 0 or epoch < 0:
        raise ConfigError(f"seed and epoch must be 0 or more, got {seed} and {epoch}")
    generator = np.random.default_rng(np.random.SeedSequence([seed, epoch]))
    n_rows = len(task_of_row)
    starts = np.arange(0, n_rows, batch_size)
    if sampling.is_permutation or not n_rows:
        order = generator.permutation(n_rows)
        return [order[start : start + batch_size] for start in starts]
    _, tasks, counts = np.unique(task_of_row, return_inverse=True, return_counts=True)
    by_task = np.split(np.argsort(tasks, kind="stable"), np.cumsum(counts)[:-1])
    shares = task_shares(counts, sampling.temperature)
    batches = []
    for _ in starts:
        size = 1 if sampling.one_task_per_batch else batch_size
        drawn = np.resize(generator.choice(len(counts), size=size, p=shares), batch_size)
        places = generator.integers(counts[drawn])
        batches.append(
            np.array([by_task[task][place] for task, place in zip(drawn, places, strict=True)])
        )
    return batches


def task_shares(counts: np.ndarray, temperature: float) -> np.ndarray:
    """Probability of each task, proportional to (n_i / N)^(1/T).

    Args:
        counts: Rows of each task, shape ``(tasks,)``, all above 0.
        temperature: T; infinity gives equal shares.

    Returns:
        Probabilities, shape ``(tasks,)``.
    """
    # In logarithms: a small T would underflow, and only the differences matter.
    logs = np.log(counts / counts.sum()) / temperature
    powers = np.exp(logs - logs.max())
    return powers / powers.sum()
