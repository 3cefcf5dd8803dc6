"""Names that conditions cannot have, and names that were meant."""

import difflib
import inspect
import keyword
from collections.abc import Iterable
from functools import cache
from typing import Any

from torch import nn
from transformers import GenerationConfig, GenerationMixin

from hyperadapters.errors import ConditionError, ConfigError

# Names that Transformers or PEFT use on the way (PEFT's Poly takes `task_ids`).
RESERVED = frozenset(
    {
        *("input_ids", "attention_mask", "labels", "label", "label_ids", "task_ids"),
        *("adapter_names", "position_ids", "return_dict", "num_items_in_batch", "self"),
    }
)


@cache
def _taken() -> frozenset[str]:
    """What `generate` takes, and what a `GenerationConfig` holds."""
    return RESERVED | {
        *inspect.signature(vars(GenerationMixin)["generate"]).parameters,
        *GenerationConfig().to_dict(),
    }


def check_condition_name(name: Any) -> None:
    """Refuse a name that would not reach the model, or hide something else.

    Raises:
        ConfigError: It is used by Python, PyTorch, Transformers or PEFT, or is no identifier.
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ConfigError(f"a condition cannot be called {name!r}: it must be a Python identifier")
    # Conditions are names of submodules, so they cannot be called like an attribute of those.
    if name in _taken() or name.startswith("decoder_") or hasattr(nn.ModuleDict(), name):
        raise ConfigError(
            f"a condition cannot be called {name!r}: the name is used by PyTorch, Transformers or "
            "PEFT"
        )


def check_known(names: Iterable[str], declared: Iterable[str]) -> None:
    """Refuse names that no condition has.

    Raises:
        ConditionError: There is one; names the condition that comes near.
    """
    known = sorted(declared)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(known)}"
            raise ConditionError(f"the model has no condition {name!r}{advice}")


def check_keywords(names: Iterable[str], declared: Iterable[str]) -> None:
    """Refuse a keyword that looks like a condition: Transformers would swallow it without a word.

    Raises:
        ConditionError: There is one; names the condition that was meant.
    """
    known = sorted(declared)
    for name in names:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        if near and name not in known:
            raise ConditionError(
                f"got {name!r}, which is no argument of the model; did you mean {near[0]!r}?"
            )
