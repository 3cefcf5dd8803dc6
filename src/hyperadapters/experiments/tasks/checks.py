"""What can be found wrong with a model and a mixture before anything is trained."""

from collections.abc import Mapping
from typing import Any

from hyperadapters.errors import ConfigError
from hyperadapters.experiments.tasks.known import KnownTasks
from hyperadapters.inference.tasks import Spelling, spellings
from hyperadapters.methods.recipes import TaskModel


def check_model(task_model: TaskModel, known: KnownTasks) -> None:
    """Find what the backbone cannot read or write.

    Raises:
        ConfigError: The tokenizer cannot write a label word, or texts may be longer than the
            backbone has positions for.
    """
    spelled = spellings(known.tasks.values(), task_model.tokenizer)
    settings = task_model.settings
    model: Any = task_model.model
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    problems = _too_long("max_source", settings.max_source, _positions(inner.config, "encoder"))
    writes = _positions(inner.config, "decoder")
    problems += _too_long("max_target", settings.max_target, writes)
    problems += _too_long_answers(spelled, settings.max_target, writes)
    if problems:
        raise ConfigError(f"backbone {task_model.backbone!r}: {'; '.join(problems)}")


def _positions(config: Any, stack: str) -> int | None:
    """How many positions a stack has; `None` where any number will do."""
    own = getattr(config, stack, None) or config
    positions = getattr(own, "max_position_embeddings", None)
    if positions is not None and "roberta" in str(getattr(own, "model_type", "")):
        # Its positions are counted from behind the padding token's.
        positions -= (own.pad_token_id or 0) + 1
    return positions


def _too_long(name: str, value: int, positions: int | None) -> list[str]:
    if positions is None or value <= positions:
        return []
    return [f"{name} is {value}, but it has {positions} positions"]


def _too_long_answers(
    spelled: Mapping[str, Spelling], max_target: int, positions: int | None
) -> list[str]:
    # One position is taken by the start.
    lengths = {name: its.max_new_tokens(max_target) for name, its in spelled.items()}
    return [
        f"task {name} writes up to {length} tokens, but it has {positions} positions"
        for name, length in lengths.items()
        if positions is not None and length > positions and length != max_target
    ]
