"""What the frozen layers make of each text, kept as long as it is needed, or from run to run."""

import hashlib
import json

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hyperadapters.backbones import LowerLayers
from hyperadapters.data.array_cache import ArrayCache
from hyperadapters.data.tokens import TokenizedTexts

# Above this size states are computed anew for every batch instead of being kept in memory.
MAX_BYTES = 4 * 2**30
TOKENS_PER_PASS = 8192
# Whatever changes the numbers without changing model or tokens.
VERSION = "1"


class TextStates:
    """Hidden states of texts below the first adapted layer, computed once per text.

    Args:
        lower: The layers of the backbone.
        depth: How many of them are frozen.
        tokens: The texts.
        cache: Where states are kept from run to run; by default in memory, for this run.
        max_bytes: Memory that may be used to keep states.
        precision: Name of what products are taken in, for the fingerprint.
    """

    def __init__(
        self,
        lower: LowerLayers,
        depth: int,
        tokens: TokenizedTexts,
        *,
        cache: ArrayCache | None = None,
        max_bytes: int = MAX_BYTES,
        precision: str = "float32",
    ) -> None:
        self._lower, self._depth, self._tokens = lower, depth, tokens
        self._lengths = tokens.lengths
        width = int(lower.reader.config.hidden_size)
        self._starts = np.concatenate([[0], np.cumsum(self._lengths)])
        shape = (int(self._starts[-1]), width)
        self._kept: np.ndarray | None = None
        if cache is not None:
            self._kept = cache.get(self._fingerprint(precision), shape, self._fill)
        elif shape[0] * width * np.dtype(np.float32).itemsize <= max_bytes:
            self._kept = np.empty(shape, np.float32)
            self._fill(self._kept)

    def of(self, texts: Int[np.ndarray, " texts"]) -> Float[Tensor, "texts positions width"]:
        """The states of these texts, padded with zeros to the longest of them.

        Args:
            texts: Positions of the texts; repetitions are allowed.
        """
        if self._kept is None:
            return self._lower.states(self._tokens.batch(texts), self._depth).cpu()
        lengths = self._lengths[texts]
        places = np.arange(lengths.max())
        if self._tokens.padding_side == "left":
            places = places - (lengths.max() - lengths)[:, None]
        real = (places >= 0) & (places < lengths[:, None])
        taken = self._kept[np.where(real, self._starts[texts][:, None] + places, 0)]
        return torch.from_numpy(np.where(real[..., None], taken, np.float32(0)))

    def _fill(self, kept: np.ndarray) -> None:
        for texts in _by_length(self._lengths):
            inputs = self._tokens.batch(texts)
            states = self._lower.states(inputs, self._depth).float().cpu().numpy()
            real = inputs["attention_mask"].numpy().astype(bool)
            for text, of_text, mask in zip(texts, states, real, strict=True):
                kept[self._starts[text] : self._starts[text + 1]] = of_text[mask]

    def _fingerprint(self, precision: str) -> str:
        """A name for all that the states depend on: the frozen parameters, and the tokens."""
        told = hashlib.sha256()
        reader: nn.Module = self._lower.reader
        config = {k: v for k, v in reader.config.to_dict().items() if not k.startswith("_")}  # pyright: ignore
        about = [VERSION, precision, self._depth, type(reader).__name__, config]
        told.update(json.dumps(about, sort_keys=True, default=str).encode())
        above = {p for layer in self._lower.layers[self._depth :] for p in layer.parameters()}
        for name, parameter in reader.named_parameters():
            if parameter not in above:
                told.update(name.encode())
                told.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        for name, lists in sorted(self._tokens.columns.items()):
            told.update(f"{name} {self._tokens.padding_side}".encode())
            told.update(np.asarray([len(ids) for ids in lists], np.int64).data)
            told.update(np.concatenate([np.asarray(ids, np.int64) for ids in lists]).data)
        return told.hexdigest()


def _by_length(lengths: np.ndarray) -> list[np.ndarray]:
    """Texts of similar length together, about `TOKENS_PER_PASS` tokens a batch."""
    order = np.argsort(lengths, kind="stable")
    padded = np.cumsum(lengths[order]) // TOKENS_PER_PASS
    return np.split(order, np.flatnonzero(np.diff(padded)) + 1)
