"""The lower layers of a backbone, run once per text while everything around them sees rows.

A batch of rows often holds the same text several times, once for every person who is asked. As long
as nothing differs between these rows, a layer can be run on the distinct texts alone. The model is
called with all rows, as always: embeddings, masks, pooling and head never know. Only the first
layers are given one row of each text, and what the last of them makes is handed on to all rows.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

# Arguments of layers that have no rows, whatever their length.
_WITHOUT_ROWS = frozenset({"rel_embeddings", "cache_position"})


class LowerLayers:
    """The layers of the part of a model that reads the input.

    Args:
        reader: That part: the encoder, or all but the head.
        layers: Its layers in their order, see `layers_of`.
    """

    def __init__(self, reader: nn.Module, layers: Sequence[nn.Module]) -> None:
        self.reader: Any = reader
        self.layers = list(layers)

    @classmethod
    def of(cls, model: Any) -> "LowerLayers | None":
        """The layers of a Transformers model; `None` where they cannot be told."""
        reader = model.get_encoder() if model.config.is_encoder_decoder else model.base_model
        layers = layers_of(reader)
        return cls(reader, layers) if layers is not None else None

    def __len__(self) -> int:
        return len(self.layers)

    @contextmanager
    def once_per_text(
        self,
        text_of_row: Int[Tensor, " rows"],
        end: int,
        *,
        states: Float[Tensor, "texts positions width"] | None = None,
        depth: int = 0,
    ) -> Iterator[None]:
        """In this block the first `end` layers are run on the distinct texts of the batch.

        Args:
            text_of_row: For every row of the calls inside the number of its text; rows of one text
                have equal inputs.
            end: Number of the first layer that sees rows.
            states: What the first `depth` layers make of the texts, if that is known already: then
                they are not run. Only where `can_be_skipped`.
            depth: See `states`.
        """
        n_rows, n_texts = len(text_of_row), int(text_of_row.max()) + 1
        # Where every row has a text of its own there is nothing to share.
        end = end if n_texts < n_rows else 0
        with ExitStack() as stack:
            if states is not None:
                given = states.index_select(0, text_of_row) if end <= depth else states
                output = (given, *self._beside) if self._beside is not None else given
                for layer in self.layers[:depth]:
                    stack.enter_context(_skipped(layer, output))
            if end > depth or (states is None and end):
                sharing = _Sharing(text_of_row, n_texts)
                for number, layer in enumerate(self.layers[:end]):
                    if states is None or number >= depth:
                        # What a layer below gives is of texts already.
                        stack.enter_context(sharing.reduced(layer, hidden=number == 0))
                stack.enter_context(sharing.expanded(self.layers[end - 1]))
            yield

    @torch.no_grad()
    def states(
        self, inputs: dict[str, Tensor], depth: int
    ) -> Float[Tensor, "texts positions width"]:
        """What the first `depth` layers make of texts, without dropout; nothing above them is run.

        Args:
            inputs: What the tokenizer made, each of shape ``(texts, positions)``.
            depth: Number of layers; of 0 the embeddings are taken.
        """
        output = self._output_of(inputs, depth)
        return output if isinstance(output, Tensor) else output[0]

    @functools.cached_property
    def can_be_skipped(self) -> bool:
        """Whether a layer hands on nothing but states.

        Those of T5 also give the position bias that the first of them has made.
        """
        return self._beside is None or all(part is None for part in self._beside)

    @functools.cached_property
    def _beside(self) -> tuple[Any, ...] | None:
        """What a layer gives beside the states; `None` where it gives these as they are."""
        word = torch.zeros(1, 1, dtype=torch.long, device=self.reader.device)
        output = self._output_of({"input_ids": word, "attention_mask": word + 1}, 1)
        return None if isinstance(output, Tensor) else tuple(output[1:])

    @torch.no_grad()
    def _output_of(self, inputs: dict[str, Tensor], depth: int) -> Any:
        moved = {name: value.to(self.reader.device) for name, value in inputs.items()}
        with self.evaluating(depth), _reaching(self.layers, depth):
            try:
                self.reader(**moved)
            except _Reached as reached:
                return reached.output
        raise AssertionError("the layer was not run")

    @contextmanager
    def evaluating(self, depth: int) -> Iterator[None]:
        """In this block the first `depth` layers, and what lies below them, drop nothing out."""
        above = {part for layer in self.layers[depth:] for part in layer.modules()}
        parts = [part for part in self.reader.modules() if part.training and part not in above]
        for part in parts:
            part.training = False
        try:
            yield
        finally:
            for part in parts:
                part.training = True


def layers_of(reader: nn.Module) -> list[nn.Module] | None:
    """The layers of an encoder or decoder; `None` where it has none that are each run once."""
    config: Any = getattr(reader, "config", None)
    count = getattr(config, "num_hidden_layers", None)
    for module in reader.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            kinds = {type(layer) for layer in module}
            takes = [_parameters(layer) for layer in module]
            # Layers of a kind; lists of something else (norms, embeddings) are as long at times.
            if len(kinds) == 1 and all("hidden_states" in names for names in takes):
                return list(module)
    return None


class _Reached(Exception):  # noqa: N818 - nothing has gone wrong
    """A layer has been run, and the rest need not be."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output


@contextmanager
def _reaching(layers: Sequence[nn.Module], depth: int) -> Iterator[None]:
    """In this block a call ends with what is below the layer of that number."""

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        raise _Reached(output)

    def turn_back(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        raise _Reached(args[0] if args else kwargs["hidden_states"])

    if depth:
        handle = layers[depth - 1].register_forward_hook(leave)
    else:
        handle = layers[0].register_forward_pre_hook(turn_back, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _skipped(layer: nn.Module, output: Any) -> Iterator[None]:
    """In this block a layer gives `output` whatever it is given."""
    before = layer.__dict__.get("forward")
    layer.__dict__["forward"] = lambda *args, **kwargs: output
    try:
        yield
    finally:
        del layer.__dict__["forward"]
        if before is not None:
            layer.__dict__["forward"] = before


class _Sharing:
    """Rows → texts before the first layer, texts → rows behind the last one.

    Args:
        text_of_row: For every row the number of its text, shape ``(rows,)``.
        n_texts: Number of texts, smaller than that of rows.
    """

    def __init__(self, text_of_row: Int[Tensor, " rows"], n_texts: int) -> None:
        self.text_of_row = text_of_row
        self.n_rows, self.n_texts = len(text_of_row), n_texts
        positions = torch.arange(self.n_rows, device=text_of_row.device)
        empty = positions.new_full((n_texts,), self.n_rows)
        self.first_row = empty.scatter_reduce(0, text_of_row, positions, "amin")

    @contextmanager
    def reduced(self, layer: nn.Module, *, hidden: bool) -> Iterator[None]:
        """In this block a layer is given one row of each text.

        Args:
            layer: The layer.
            hidden: Whether its states are of rows too.
        """
        names = _parameters(layer)

        def reduce(
            module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            given = [*zip(names, args, strict=False), *kwargs.items()]
            taken = {n: self._of_texts(n, v, hidden=hidden) for n, v in given}
            # Nothing reads these keys and values again, and there is one line for each text.
            taken |= {name: None for name in ("past_key_values", "layer_past") if name in taken}
            rest = {name: value for name, value in taken.items() if name not in names[: len(args)]}
            return tuple(taken[name] for name in names[: len(args)]), rest

        handle = layer.register_forward_pre_hook(reduce, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    @contextmanager
    def expanded(self, layer: nn.Module) -> Iterator[None]:
        """In this block what a layer gives is handed on to all rows."""

        def expand(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
            return _mapped(output, self._of_rows)

        handle = layer.register_forward_hook(expand)
        try:
            yield
        finally:
            handle.remove()

    def _of_texts(self, name: str, value: Any, *, hidden: bool) -> Any:
        if name in _WITHOUT_ROWS or (name == "hidden_states" and not hidden):
            return value
        return _mapped(value, self._taken)

    def _taken(self, value: Tensor) -> Tensor:
        has_rows = value.ndim >= 2 and value.shape[0] == self.n_rows
        return value.index_select(0, self.first_row) if has_rows else value

    def _of_rows(self, value: Tensor) -> Tensor:
        has_texts = value.ndim >= 2 and value.shape[0] == self.n_texts
        return value.index_select(0, self.text_of_row) if has_texts else value


def _mapped(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if type(value) in (tuple, list):
        return type(value)(_mapped(part, function) for part in value)
    return value


@functools.cache
def _signature(kind: type[nn.Module]) -> tuple[str, ...]:
    return tuple(inspect.signature(kind.forward).parameters)[1:]


def _parameters(layer: nn.Module) -> tuple[str, ...]:
    """Names of what a layer's `forward` takes."""
    return _signature(type(layer))
