"""The classification head: its input is shifted and its logits are biased, per row."""

from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from hyperadapters.adapters import HeadWeights, add_per_row, taste_logits
from hyperadapters.tuner.conditioning import Conditioning

# Names that Transformers and PEFT use for the head of a sequence classifier.
HEAD_NAMES = ("classifier", "score")


class HeadHooks:
    """Forward hooks on the head of one model.

    PEFT may wrap the head again when further adapters are added, so the hooks are moved to
    whatever stands at the head's place before each call.

    Args:
        model: The Transformers model.
        name: Path of the head in it.
        conditioning: Where shift and bias come from.
    """

    def __init__(self, model: nn.Module, name: str, conditioning: Conditioning) -> None:
        self.name = name
        self.conditioning = conditioning
        self._module: nn.Module | None = None
        self._handles: list[RemovableHandle] = []
        self._taste: Tensor | float = 0
        self.place(model)

    def place(self, model: nn.Module) -> None:
        """Hook the module that is the head now."""
        module = model.get_submodule(self.name)
        if module is not self._module:
            self.remove()
            self._module = module
            self._handles = [
                module.register_forward_pre_hook(self.prepare_input),
                module.register_forward_hook(self.add_to_logits),
            ]

    def remove(self) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._module = None

    def prepare_input(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Make rows of texts where they are shared, and add the generated shift."""
        if not self.conditioning.is_active or not args or not isinstance(args[0], Tensor):
            return None
        features = args[0]
        if self.conditioning.text_of_row is not None:
            features = features.index_select(0, self.conditioning.text_of_row)
        # The taste looks at the text itself, so it is taken before the shift.
        self._taste = sum(
            taste_logits(features, head.gate, head.taste_in, head.taste_out)
            for head in self._weights()
            if head.gate is not None and head.taste_in is not None and head.taste_out is not None
        )
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
        if isinstance(self._taste, Tensor):
            logits = logits + self._taste.to(logits.dtype)
        self._taste = 0
        return logits

    def _weights(self) -> list[HeadWeights]:
        conditioning = self.conditioning
        names = conditioning.tuner.active_adapters
        return [conditioning.weights(name).head_per_row() for name in names]


def find_head(model: nn.Module) -> str | None:
    """Name of the head of a sequence classifier; `None` when the model has none."""
    children = {name for name, _ in model.named_children()}
    return next((name for name in HEAD_NAMES if name in children), None)


def head_input_width(head: nn.Module) -> int | None:
    """Width of the head's input: that of its first linear module."""
    return next((m.in_features for m in head.modules() if isinstance(m, nn.Linear)), None)
