"""The classification head: its input is shifted, its logits are biased, per row."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

from peft.utils import ModulesToSaveWrapper
from torch import Tensor, nn

from hyperadapters.adapters import HeadWeights, add_per_row, matrix_logits, taste_logits
from hyperadapters.backbones.cumulative import HEAD_NAMES
from hyperadapters.tuner.conditioning import Conditioning

TASKS = ("SEQ_CLS", "TOKEN_CLS")
SPAN_HEAD_NAMES = ("qa_outputs", "classifier")


class HeadHooks:
    """Forward hooks on the first and the last linear layer of the head of one model.

    The shift is added to what the first one reads; bias and taste to what the last one writes, the
    taste being made of what that one reads. Each is linear in the weights of one layer, so that it
    can be written into them (see `hyperadapters.tuner.materialise`). PEFT may copy the head for
    further adapters, so the hooks are moved to whatever stands at the head's place.

    Args:
        model: The Transformers model.
        name: Path of the head in it.
        conditioning: Where shift and bias come from.
    """

    def __init__(self, model: nn.Module, name: str, conditioning: Conditioning) -> None:
        self.name = name
        self.conditioning = conditioning
        self._of_features: Tensor | None = None
        self.place(model)

    def __deepcopy__(self, memo: dict[int, Any]) -> "HeadHooks":
        # PEFT copies the head alone, with its hooks: these stay ours. In a copy of the whole model
        # they belong to the copy.
        if id(self.conditioning.tuner.model) not in memo:
            return self
        copied = memo[id(self)] = object.__new__(HeadHooks)
        copied.name, copied._of_features = self.name, None
        copied.conditioning = copy.deepcopy(self.conditioning, memo)
        return copied

    def place(self, model: nn.Module) -> None:
        """Hook what is the head now, in all copies that PEFT keeps of it."""
        for first, last in self._layers(model):
            if not any(_belongs(hook, self) for hook in last._forward_hooks.values()):
                first.register_forward_pre_hook(self.shift_input)
                last.register_forward_pre_hook(self.read_features)
                last.register_forward_hook(self.add_to_logits)

    def remove(self, model: nn.Module) -> None:
        """Take the hooks off."""
        for layer in {layer for layers in self._layers(model) for layer in layers}:
            for hooks in (layer._forward_pre_hooks, layer._forward_hooks):
                for key in [key for key, hook in hooks.items() if _belongs(hook, self)]:
                    del hooks[key]

    def forget(self) -> None:
        """Let go of what was made of the input and not added, as after an exception in between."""
        self._of_features = None

    def _layers(self, model: nn.Module) -> list[tuple[nn.Linear, nn.Linear]]:
        heads = [head_layers(copied) for copied in _copies(model.get_submodule(self.name))]
        return [(layers[0], layers[-1]) for layers in heads if layers]

    def shift_input(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Make rows of texts where they are shared, and add the generated shift."""
        self._of_features = None
        if not self.conditioning.is_active or not args or not isinstance(args[0], Tensor):
            return None
        states = args[0]
        if self.conditioning.text_of_row is not None:
            states = states.index_select(0, self.conditioning.text_of_row)
        for head in self._weights():
            if head.shift is not None:
                states = add_per_row(states, head.shift)
        return (states, *args[1:])

    def read_features(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Keep what taste and matrix make of the features that the logits are made of."""
        if not self.conditioning.is_active or not args or not isinstance(args[0], Tensor):
            return
        for head in self._weights():
            if head.gate is not None and head.taste_in is not None and head.taste_out is not None:
                self._add(taste_logits(args[0], head.gate, head.taste_in, head.taste_out))
            if head.matrix is not None:
                self._add(matrix_logits(args[0], head.matrix))

    def _add(self, logits: Tensor) -> None:
        self._of_features = logits if self._of_features is None else self._of_features + logits

    def add_to_logits(self, module: nn.Module, args: tuple[Any, ...], logits: Tensor) -> Tensor:
        """Add bias, and what was made of the features, to the logits."""
        if not self.conditioning.is_active:
            return logits
        for head in self._weights():
            if head.bias is not None:
                logits = add_per_row(logits, head.bias)
        if self._of_features is not None:
            logits = logits + self._of_features.to(logits.dtype)
            self._of_features = None
        return logits

    def _weights(self) -> list[HeadWeights]:
        return [weights.head_per_row() for weights in self.conditioning.weights.values()]


def find_head(model: nn.Module, task: str | None) -> str | None:
    """Name of the head of a sequence or token classifier; `None` when the model has none."""
    children = {name for name, _ in model.named_children()}
    if str(getattr(task, "value", task)) not in TASKS:
        return None
    found = next((name for name in HEAD_NAMES if name in children), None)
    return found if found and head_layers(model.get_submodule(found)) else None


def trained_head(model: nn.Module, task: str | None) -> str | None:
    """Name of the head that a task trains with the adapter; `None` when there is none."""
    if str(getattr(task, "value", task)) != "QUESTION_ANS":
        return find_head(model, task)
    children = {name for name, _ in model.named_children()}
    return next((name for name in SPAN_HEAD_NAMES if name in children), None)


def save_head(model: nn.Module, config: Any) -> None:
    """Train the head also where PEFT does not know its name, or would only learn of it later."""
    head = trained_head(model, config.task_type)
    if head is not None and head not in (config.modules_to_save or ()):
        config.modules_to_save = [*(config.modules_to_save or ()), head]


def head_layers(head: nn.Module) -> list[nn.Linear]:
    """The linear layers of a head; the first reads what is pooled, the last writes the logits."""
    copied = next(_copies(head))
    return [module for module in copied.modules() if isinstance(module, nn.Linear)]


def copy_of(head: nn.Module, adapter_name: str) -> nn.Module:
    """The head as one adapter has trained it."""
    if not isinstance(head, ModulesToSaveWrapper):
        return head
    if adapter_name not in head.modules_to_save:
        return head.original_module
    return head.modules_to_save[adapter_name]


def freeze_outputs(model: nn.Module, task: str | None) -> None:
    """Do not train the output layer of a classifier's head, in any copy that PEFT keeps of it."""
    name = find_head(model, task)
    for copied in _copies(model.get_submodule(name)) if name else ():
        head_layers(copied)[-1].requires_grad_(False)


def _belongs(hook: Callable[..., Any], owner: object) -> bool:
    return getattr(hook, "__self__", None) is owner


def _copies(head: nn.Module) -> Iterator[nn.Module]:
    yield head.original_module if isinstance(head, ModulesToSaveWrapper) else head
    if isinstance(head, ModulesToSaveWrapper):
        yield from head.modules_to_save.values()
