"""Adapters of recent conditions, for serving: whoever comes back is not written for again.

Off unless asked for::

    adapter_network(model).cache = WeightCache(max_bytes=256 * 2**20)

It works in eval mode without gradients, for conditions that are indices (annotators, attributes).
What it gives is what was written at the first request: the same bits for the same person, whoever
else is in the batch. When a parameter changes everything is forgotten. (Changes behind PyTorch's
back, through ``.data``, do not show: call `clear`.)
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hyperadapters.adapters import SiteWeights
from hyperadapters.errors import ConfigError

Values = Mapping[str, Tensor]
Write = Callable[[Values], Sequence[SiteWeights]]
_Key = tuple[int, ...]


class WeightCache:
    """Weights of groups of sites by condition; the least recently used go first.

    Any number of threads may use it; they wait for each other. A copy of it is a new, empty one,
    so that copies of a model do not share.

    Args:
        max_bytes: Most bytes of weights that are kept, at least 1.

    Attributes:
        hits: How many sets of weights were found.
        misses: How many had to be written.
        n_bytes: Bytes of weights that are kept.

    Raises:
        ConfigError: `max_bytes` is less than 1.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 1:
            raise ConfigError(f"max_bytes must be at least 1, got {max_bytes}")
        self.max_bytes = max_bytes
        self.hits = 0
        self.misses = 0
        self.n_bytes = 0
        self._kept: OrderedDict[_Key, tuple[Tensor, ...]] = OrderedDict()
        self._layouts: dict[int, _Layout] = {}
        self._state: object = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Number of sets of weights that are kept."""
        return len(self._kept)

    def __reduce__(self) -> tuple[Any, ...]:
        return WeightCache, (self.max_bytes,)

    def clear(self) -> None:
        """Forget all weights; hits and misses go on."""
        with self._lock:
            self._forget()

    def weights(
        self, network: nn.Module, group: int, values: Values, write: Write
    ) -> Sequence[SiteWeights]:
        """The weights of a group for these conditions, leading axis n.

        Args:
            network: What writes; when a tensor of it has changed nothing is taken from before.
            group: Number of the group.
            values: Name → indices, leading axis n, of n distinct conditions.
            write: Values of some distinct conditions → their weights per site.
        """
        keys = [(group, *line) for line in _lines(values)]
        with self._lock:
            if (state := _state_of(network)) != self._state:
                self._forget()
                self._state = state
            if group not in self._layouts:
                self._layouts[group] = _Layout(write(_first_twice(values)))
            layout = self._layouts[group]
            missing = [position for position, key in enumerate(keys) if key not in self._kept]
            self.hits += len(keys) - len(missing)
            self.misses += len(missing)
            found = {key: self._kept[key] for key in keys if key in self._kept}
            for key in found:
                self._kept.move_to_end(key)
            if missing:
                written = write({name: value[missing] for name, value in values.items()})
                for position, line in enumerate(missing):
                    found[keys[line]] = tensors = layout.own(written, position)
                    self._keep(keys[line], tensors)
            return layout.join([found[key] for key in keys])

    def _keep(self, key: _Key, tensors: tuple[Tensor, ...]) -> None:
        self._kept[key] = tensors
        self.n_bytes += _bytes(tensors)
        while self.n_bytes > self.max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self.n_bytes -= _bytes(dropped)

    def _forget(self) -> None:
        self._kept.clear()
        self._layouts.clear()
        self.n_bytes = 0


class _Layout:
    """Which tensors of a group each condition has of its own, and those that all share.

    Args:
        written: The weights of two conditions.
    """

    def __init__(self, written: Sequence[SiteWeights]) -> None:
        self._shared = list(written)
        self._own = [
            (site, name)
            for site, weights in enumerate(written)
            for name, tensor in weights._asdict().items()
            if tensor is not None and tensor.shape[0] > 1
        ]
        for site, name in self._own:
            self._shared[site] = self._shared[site]._replace(**{name: None})

    def own(self, written: Sequence[SiteWeights], position: int) -> tuple[Tensor, ...]:
        """The own tensors of the condition at a position, in memory of their own."""
        return tuple(getattr(written[site], name)[position].clone() for site, name in self._own)

    def join(self, parts: Sequence[tuple[Tensor, ...]]) -> list[SiteWeights]:
        """Weights with a leading axis of conditions, from the tensors of each."""
        joined = list(self._shared)
        for number, (site, name) in enumerate(self._own):
            stacked = torch.stack([tensors[number] for tensors in parts])
            joined[site] = joined[site]._replace(**{name: stacked})
        return joined


def _lines(values: Values) -> list[list[int]]:
    columns = [value.reshape(value.shape[0], -1) for value in values.values()]
    return torch.cat(columns, dim=1).tolist()


def _first_twice(values: Values) -> Values:
    return {name: value[:1].expand(2, *value.shape[1:]) for name, value in values.items()}


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _state_of(network: nn.Module) -> object:
    """Changes whenever the same condition would be given other weights."""
    tensors = (*network.parameters(), *network.buffers())
    devices = {tensor.device.type for tensor in tensors}
    autocast = [
        (device, torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))
        for device in sorted(devices)
    ]
    return [(id(t), t.data_ptr(), t._version) for t in tensors], autocast
