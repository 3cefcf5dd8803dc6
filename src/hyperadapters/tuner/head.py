"""The classification head: its last layer's input is shifted, its logits are biased, per row."""

from collections.abc import Iterator
from typing import Any

from peft.utils import ModulesToSaveWrapper
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from hyperadapters.adapters import HeadWeights, add_per_row, taste_logits
from hyperadapters.tuner.conditioning import Conditioning

# Names that Transformers uses for the head of a classifier.
HEAD_NAMES = ("classifier", "score", "classification_head")
TASKS = ("SEQ_CLS", "TOKEN_CLS")


class HeadHooks:
    """Forward hooks on the last linear layer of the head of one model.

    There what the condition does is linear in the head's own weights, so that it can be written
    into them (see `hyperadapters.tuner.materialise`). PEFT may copy the head for further adapters,
    so the hooks are moved to whatever stands at the head's place before each call.

    Args:
        model: The Transformers model.
        name: Path of the head in it.
        conditioning: Where shift and bias come from.
    """

    def __init__(self, model: nn.Module, name: str, conditioning: Conditioning) -> None:
        self.name = name
        self.conditioning = conditioning
        self._hooked: list[nn.Module] = []
        self._handles: list[RemovableHandle] = []
        self._taste: Tensor | None = None
        self.place(model)

    def place(self, model: nn.Module) -> None:
        """Hook what is the head now, in all copies that PEFT keeps of it."""
        layers: list[nn.Module] = [
            last
            for copy in _copies(model.get_submodule(self.name))
            for last in [last_linear(copy)]
            if last is not None
        ]
        if layers != self._hooked:
            self.remove()
            self._hooked = layers
            for layer in layers:
                self._handles.append(layer.register_forward_pre_hook(self.prepare_input))
                self._handles.append(layer.register_forward_hook(self.add_to_logits))

    def remove(self) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._hooked = []

    def prepare_input(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Make rows of texts where they are shared, and add the generated shift."""
        self._taste = None
        if not self.conditioning.is_active or not args or not isinstance(args[0], Tensor):
            return None
        features = args[0]
        if self.conditioning.text_of_row is not None:
            features = features.index_select(0, self.conditioning.text_of_row)
        # The taste looks at the text itself, so it is taken before the shift.
        for head in self._weights():
            if head.gate is not None and head.taste_in is not None and head.taste_out is not None:
                taste = taste_logits(features, head.gate, head.taste_in, head.taste_out)
                self._taste = taste if self._taste is None else self._taste + taste
        for head in self._weights():
            if head.shift is not None:
                features = add_per_row(features, head.shift)
        return (features, *args[1:])

    def add_to_logits(self, module: nn.Module, args: tuple[Any, ...], logits: Tensor) -> Tensor:
        """Add the generated bias and taste to the logits."""
        if not self.conditioning.is_active:
            return logits
        for head in self._weights():
            if head.bias is not None:
                logits = add_per_row(logits, head.bias)
        if self._taste is not None:
            logits = logits + self._taste.to(logits.dtype)
            self._taste = None
        return logits

    def _weights(self) -> list[HeadWeights]:
        return [weights.head_per_row() for weights in self.conditioning.weights.values()]


def find_head(model: nn.Module, task: str | None) -> str | None:
    """Name of the head of a sequence or token classifier; `None` when the model has none."""
    children = {name for name, _ in model.named_children()}
    if str(getattr(task, "value", task)) not in TASKS:
        return None
    found = next((name for name in HEAD_NAMES if name in children), None)
    return found if found and last_linear(model.get_submodule(found)) is not None else None


def last_linear(head: nn.Module) -> nn.Linear | None:
    """The layer of a head that writes the logits."""
    copy = next(_copies(head))
    return next((m for m in reversed(list(copy.modules())) if isinstance(m, nn.Linear)), None)


def _copies(head: nn.Module) -> Iterator[nn.Module]:
    yield head.original_module if isinstance(head, ModulesToSaveWrapper) else head
    if isinstance(head, ModulesToSaveWrapper):
        yield from head.modules_to_save.values()
