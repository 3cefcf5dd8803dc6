"""Rows in, written answers out, with how likely the model thought each of them."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import GenerationConfig

from hyperadapters.data.tasks import TaskTokens
from hyperadapters.data.tasks.special import special_tokens
from hyperadapters.inference.tasks.words import Spelling, spellings
from hyperadapters.methods.recipes import TaskModel
from hyperadapters.tables.frames import column_of
from hyperadapters.tables.task_predictions import check_task_predictions
from hyperadapters.tasks import Task

Told = Callable[[int, int], None]
"""Is told how many rows of how many are done."""


@dataclasses.dataclass(frozen=True)
class _Way:
    """How the answers of a group of rows are written."""

    num_beams: int
    min_new_tokens: int
    max_new_tokens: int


def write_answers(
    task_model: TaskModel,
    tokens: TaskTokens,
    examples: pd.DataFrame,
    tasks: Mapping[str, Task],
    *,
    seed: int = 0,
    told: Told | None = None,
) -> pd.DataFrame:
    """Let the model answer every row.

    Each task is answered as its `Generation` says: nothing is asked of the length but what is
    declared, so that an empty answer can be given. Rows go through the model by length, each with
    its own conditions; what is written for one does not depend on the others.

    Args:
        task_model: What answers.
        tokens: The rows: one per example, or one per window.
        examples: EXAMPLES that `tokens` were made of; targets may be missing.
        tasks: Every task in `examples` by its name.
        seed: Seed of the run, for the column of that name.
        told: Is told how many rows are done.

    Returns:
        TASK PREDICTIONS, a row for every row of `tokens` in their order: of an example that is
        read in windows there are several (see `hyperadapters.evaluation.tasks.choose_windows`).
        `nll` is the mean negative log-likelihood, in nats, of the answer's own tokens with its
        end, and so has nothing to do with padding.

    Raises:
        ConfigError: The tokenizer cannot write a label word.
    """
    named = examples.iloc[tokens.example].reset_index(drop=True)
    task_of_row: list[str] = column_of(named, "task").tolist()
    used = {name: tasks[name] for name in dict.fromkeys(task_of_row)}
    spelled = spellings(used.values(), task_model.tokenizer)
    texts = np.full(len(tokens), "", dtype=object)
    nlls = np.full(len(tokens), np.nan)
    done = 0
    with _evaluating(task_model.model):
        for rows, way in _batches(task_model, tokens, task_of_row, spelled):
            decoded, nll = _write(task_model, tokens, rows, way)
            found = zip(rows, decoded, strict=True)
            texts[rows] = [spelled[task_of_row[row]].read(text) for row, text in found]
            nlls[rows] = nll
            done += len(rows)
            if told is not None:
                told(done, len(tokens))
    table = pd.DataFrame(
        {
            "text_id": named["text_id"],
            "task": named["task"],
            "label": named.get("target"),
            "predicted": texts,
            "nll": nlls,
            "references": named.get("references"),
            "split": named.get("split", "test"),
            "method": task_model.recipe,
            "seed": seed,
        }
    )
    return check_task_predictions(table, source="answers", windows=True)


def _batches(
    task_model: TaskModel,
    tokens: TaskTokens,
    task_of_row: Sequence[str],
    spelled: Mapping[str, Spelling],
) -> Iterator[tuple[np.ndarray, _Way]]:
    """Positions of rows that are answered together, the short ones first; every row once."""
    settings = task_model.settings
    way_of_task = {
        name: _Way(
            spelling.task.generation.num_beams,
            spelling.task.generation.min_new_tokens,
            spelling.max_new_tokens(settings.max_target),
        )
        for name, spelling in spelled.items()
    }
    lengths = tokens.lengths
    for way in dict.fromkeys(way_of_task.values()):
        names = [name for name, its in way_of_task.items() if its == way]
        rows = np.flatnonzero(np.isin(task_of_row, names))
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        size = settings.eval_batch_size
        for start in range(0, len(rows), size):
            yield rows[start : start + size], way


@torch.no_grad()
def _write(
    task_model: TaskModel, tokens: TaskTokens, rows: np.ndarray, way: _Way
) -> tuple[list[str], np.ndarray]:
    """Texts without special tokens, and the nll of each."""
    model: Any = task_model.model
    device = next(model.parameters()).device
    batch = tokens.batch(rows, device)
    batch.pop("labels", None)
    conditions = task_model.conditions(torch.from_numpy(tokens.task[rows]).to(device))
    greedy = way.num_beams == 1
    end = special_tokens(task_model.tokenizer).answer_end  # what answers were trained to end with
    # What the backbone's own configuration asks for (lengths, repetitions) is not asked of tasks.
    config = GenerationConfig(
        **dataclasses.asdict(way),
        **{"do_sample": False, "num_return_sequences": 1, "no_repeat_ngram_size": 0},
        **{"repetition_penalty": 1.0, "return_dict_in_generate": True, "output_logits": greedy},
        **{"eos_token_id": end, "pad_token_id": tokens.pad_id},
    )
    with _precision(task_model, device):
        output = model.generate(**batch, **conditions, generation_config=config)
        written = output.sequences  # begins with the decoder's start
        if greedy:
            logits = torch.stack(output.logits, dim=1)
        else:
            given = {"decoder_input_ids": written[:, :-1], **conditions}
            logits = model(**batch, **given).logits
    own = own_tokens(written[:, 1:], end)
    texts = task_model.tokenizer.batch_decode(written, skip_special_tokens=True)
    return texts, mean_nll(logits, written[:, 1:], own).cpu().numpy()


def own_tokens(written: Int[Tensor, "rows positions"], end: int) -> Bool[Tensor, "rows positions"]:
    """Which tokens are a row's own: all up to its first end, and that end."""
    is_end = written == end
    return is_end.cumsum(dim=1) - is_end.long() == 0


def mean_nll(
    logits: Float[Tensor, "rows positions vocabulary"],
    written: Int[Tensor, "rows positions"],
    own: Bool[Tensor, "rows positions"],
) -> Float[Tensor, " rows"]:
    """Mean negative log-likelihood of each row's own tokens, in nats."""
    words = torch.log_softmax(logits.float(), dim=-1)
    nll = -words.gather(2, written.unsqueeze(2)).squeeze(2)
    return nll.masked_fill(~own, 0.0).sum(dim=1) / own.sum(dim=1)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _precision(task_model: TaskModel, device: torch.device) -> AbstractContextManager[Any]:
    precision = task_model.settings.precision
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, precision))
