"""A sub-layer of the backbone with a parallel bottleneck beside it.

What the reading module reads goes through the bottleneck and is added to what the writing module
writes; both may be the same. Nothing is replaced: the modules get hooks.
"""

from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from hyperadapters.errors import AdapterShapeError, SiteError
from hyperadapters.tuner.conditioning import Conditioning
from hyperadapters.tuner.layer import Part, is_linear, linear_widths


class Span(nn.Module, BaseTunerLayer):
    """The hooks on one reading and one writing module.

    It is a layer of PEFT's, so that `disable_adapter` and the status of a model know of it, but it
    stands beside the backbone and not in it.

    Args:
        reader: The module whose input is read.
        writer: The module whose output is added to.
        name: Path of the writing module, for error messages.
        conditioning: Where the weights come from.
    """

    # Per adapter its parts. PEFT lists adapters by this.
    other_param_names = ("hyperadapter_parts",)

    def __init__(
        self, reader: nn.Module, writer: nn.Module, name: str, conditioning: Conditioning
    ) -> None:
        super().__init__()
        self.name = name
        self.conditioning = conditioning
        self.hyperadapter_parts: dict[str, list[Part]] = {}
        self.merged_adapters = []
        self.in_width, self.out_width = span_widths(name, reader, writer)
        self._input: Tensor | None = None
        self._handles: list[RemovableHandle] = [
            reader.register_forward_pre_hook(self.read, with_kwargs=True),
            writer.register_forward_hook(self.add),
        ]

    def add_part(self, adapter_name: str, part: Part) -> None:
        """Add an adapter to these modules."""
        self.hyperadapter_parts.setdefault(adapter_name, []).append(part)

    def _get_available_adapters(self) -> set[str]:
        # PEFT's own looks for parameters, of which there are none here.
        return set(self.hyperadapter_parts)

    def remove(self) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def forget(self) -> None:
        """Let go of what was read and not added, as after an exception in between."""
        self._input = None

    def read(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keep the hidden states that go in."""
        if not self.conditioning.enabled or not self._applying():
            return
        tensors = [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
        states = kwargs.get("hidden_states", tensors[0] if tensors else None)
        if not isinstance(states, Tensor) or states.shape[-1] != self.in_width:
            got = None if states is None else tuple(states.shape)
            raise AdapterShapeError(
                f"{self.name}: the bottleneck got an input of shape {got}, wanted (rows, "
                f"positions, {self.in_width})"
            )
        self._input = states

    def add(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Add the correction of every adapter that applies to what comes out."""
        if not self.conditioning.enabled or self._input is None:
            return None
        states, self._input = self._input, None
        result = output[0] if isinstance(output, tuple) else output
        for adapter, weights in self.conditioning.weights.items():
            for part in self.hyperadapter_parts.get(adapter, ()):
                correction = part.correction(states, weights, module.training)
                if correction is not None:
                    result = result + correction.to(result.dtype)
        return (result, *output[1:]) if isinstance(output, tuple) else result

    def _applying(self) -> bool:
        return any(adapter in self.hyperadapter_parts for adapter in self.conditioning.weights)


def span_widths(name: str, reader: nn.Module, writer: nn.Module) -> tuple[int, int]:
    """Width of the states that go in and of those that come out.

    They are those of the first linear module that reads and of the last one that writes, which
    may also be a norm (Gemma 2 has one behind its feed-forward sub-layer).

    Raises:
        SiteError: There is no linear module to tell them by.
    """
    first = [linear_widths(m)[0] for m in reader.modules() if is_linear(m)]
    last = [linear_widths(m)[1] for m in writer.modules() if is_linear(m)] or _norm_width(writer)
    if not first or not last:
        without = type(reader if not first else writer).__name__
        raise SiteError(
            f"{name}: cannot tell the width of a {without}; wanted a module that maps hidden "
            "states to hidden states, such as a feed-forward sub-layer"
        )
    return first[0], last[-1]


def _norm_width(module: nn.Module) -> list[int]:
    weight = getattr(module, "weight", None)
    return [weight.shape[0]] if isinstance(weight, Tensor) and weight.ndim == 1 else []
