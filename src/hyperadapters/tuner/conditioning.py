"""Which weights are applied at the moment, and for how long."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hyperadapters.adapters import AdapterWeights
from hyperadapters.conditions import Attributes, Condition, Instance, InstanceSource, Lookup
from hyperadapters.errors import ConditionError
from hyperadapters.tuner.active import Active
from hyperadapters.tuner.names import check_known

if TYPE_CHECKING:
    from hyperadapters.tuner.model import HyperAdapterModel

# Instance attribute of the adapted Transformers model that holds its `Conditioning`.
ATTRIBUTE = "_hyperadapters"


class Conditioning:
    """The state of one adapted model between the start and the end of a call.

    Layers and head read it; the model's `forward` and `generate` open and close it. It belongs to
    one model, never to the process, so that several models can live side by side.
    """

    def __init__(self, tuner: "HyperAdapterModel") -> None:
        self.tuner = tuner
        self.enabled = True
        self.active: Active | None = None
        # Conditions of a block, for the calls inside.
        self.waiting: dict[str, Any] = {}
        self._standing: Active | None = None
        # Name of a condition and pooled inputs → what is encoded instead of them. For experiments
        # in which a row is adapted to something else than its own input.
        self.control: Callable[[str, Tensor], Tensor] | None = None
        # The thread that is in the middle of a call. (A dictionary, to be set in one step.)
        self._thread: dict[str, int] = {}
        self._text_of_row: Tensor | None = None

    @property
    def is_active(self) -> bool:
        """Whether weights are applied at the moment."""
        return self.enabled and self.active is not None

    @property
    def weights(self) -> Mapping[str, AdapterWeights]:
        """The weights applied at the moment, by adapter.

        Raises:
            ConditionError: The layer is running outside of the model's `forward` or `generate`.
        """
        if self.active is not None:
            return self.active.weights
        if self.waiting and not self.instances(self.waiting) and not torch.is_grad_enabled():
            # A part of the model is called by itself, inside of a block with conditions.
            if self._standing is None or self._standing.state != self._state():
                self._standing = self.generate(self.waiting, None, repeats=True)
            return self._standing.weights
        raise ConditionError(
            "an adapted layer was called without a condition; call the whole model with its "
            "conditions, or wrap the call in `with hyperadapters.conditioned(model, ...)` (and, to "
            "call a part of the model, in `torch.no_grad()`); a checkpointed layer is run again in "
            "the backward pass: switch checkpointing on by the model's own "
            "gradient_checkpointing_enable"
        )

    def _state(self) -> tuple[Any, ...]:
        """Changes whenever the same conditions would be given other weights."""
        if torch.compiler.is_compiling():
            return ()
        adapters = tuple(self.tuner.active_adapters)
        networks = [self.tuner.network(adapter) for adapter in adapters]
        return (
            id(self.tuner),
            adapters,
            tuple(network.training for network in networks),
            sum(tensor._version for network in networks for tensor in _tensors(network)),
        )

    def instances(self, given: Mapping[str, Any], *sources: InstanceSource) -> dict[str, Instance]:
        """Declared `Instance` conditions that were not given, of the active adapters.

        Args:
            given: What was given.
            *sources: Only those that read these states; by default all.

        Raises:
            ConditionError: Two adapters read the same name differently.
        """
        specs = [self.tuner.network(adapter).spec for adapter in self.tuner.active_adapters]
        found: dict[str, Instance] = {}
        for name, condition in [pair for spec in specs for pair in spec.conditions.items()]:
            if not isinstance(condition, Instance) or given.get(name) is not None:
                continue
            first = found.setdefault(name, condition)
            if first.states != condition.states:
                raise ConditionError(
                    f"{name}: two active adapters read the input differently under this name, "
                    f"{first.states} and {condition.states}; name one of them otherwise"
                )
        return {n: c for n, c in found.items() if not sources or c.source in sources}

    @contextmanager
    def applied(
        self,
        conditions: Mapping[str, Any],
        rows: int | None,
        *,
        repeats: bool = False,
        first_pass: bool = False,
    ) -> Iterator[None]:
        """Apply the weights of these conditions until the end of the block.

        Without any condition the weights of an enclosing block stay in force.

        Args:
            conditions: Keyword → value, or values with one entry per row; `None` is missing.
            rows: Number of rows of the batch, where it is known.
            repeats: Whether the rows may be repeated inside.
            first_pass: Whether the input is read first: `complete` begins the second pass.

        Raises:
            ConditionError: A condition is missing or does not fit the batch.
        """
        given = {name: value for name, value in conditions.items() if value is not None}
        previous = self.active
        if not self.enabled:
            yield
            return
        with self._by_one_thread():
            if not given and previous is not None:
                self.active = previous.continued(rows, repeats)
            else:
                self.active = self.generate(
                    {**self.waiting, **given}, rows, repeats=repeats, first_pass=first_pass
                )
            try:
                yield
            except BaseException:
                self.tuner.forget_inputs()
                raise
            finally:
                self.active = previous

    @contextmanager
    def _by_one_thread(self) -> Iterator[None]:
        """Refuse a call while another thread is in the middle of one: rows would be mixed up."""
        if torch.compiler.is_compiling():
            yield
            return
        here = threading.get_ident()
        nested = self._thread.get("busy") == here
        if self._thread.setdefault("busy", here) != here:
            raise ConditionError(
                "the model is in the middle of a call of another thread; give each thread a copy "
                "of its own, or let one of them do the calls"
            )
        try:
            yield
        finally:
            if not nested:
                self._thread.pop("busy", None)

    @contextmanager
    def held(self, active: Active | None, *, enabled: bool = True) -> Iterator[None]:
        """Put exactly this in force until the end of the block."""
        before = self.active, self.enabled
        self.active, self.enabled = active, enabled
        try:
            yield
        except BaseException:
            self.tuner.forget_inputs()
            raise
        finally:
            self.active, self.enabled = before

    def recomputed(self) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        """Contexts for `torch.utils.checkpoint`: its second run sees what the first one saw."""
        return nullcontext(), self.held(self.active, enabled=self.enabled)

    @contextmanager
    def kept_waiting(self, conditions: Mapping[str, Any]) -> Iterator[None]:
        """In this block every call has these conditions beside those it brings."""
        before = self.waiting, self.active, self._standing
        # Weights of an enclosing block would be taken before anything that waits.
        self.waiting, self.active, self._standing = {**self.waiting, **conditions}, None, None
        try:
            yield
        finally:
            self.waiting, self.active, self._standing = before

    def check(self, conditions: Mapping[str, Any]) -> None:
        """Whether calls under these conditions can be answered, as far as it shows already.

        Raises:
            ConditionError: A name is not known, or a condition is missing or cannot be used.
        """
        check_known(conditions, self.tuner.declared)
        for adapter in self.tuner.active_adapters:
            network = self.tuner.network(adapter)
            device = network.device
            network.prepare(conditions, device, later=self.instances(conditions))

    @property
    def text_of_row(self) -> Tensor | None:
        """For every row the position of its text in the batch; `None` when they are the same."""
        return self._text_of_row

    @contextmanager
    def sharing_texts(self, text_of_row: Tensor) -> Iterator[None]:
        """In this block the batch holds distinct texts, and the head makes rows of them.

        Exact only while the weights of the sites do not differ from row to row.

        Args:
            text_of_row: For every row the position of its text in the batch, shape ``(rows,)``.
        """
        previous = self._text_of_row
        self._text_of_row = text_of_row
        try:
            yield
        finally:
            self._text_of_row = previous

    def tokens(self) -> list[Tensor]:
        """Embeddings that go into the input at the moment, each of shape ``(n, width)``.

        Raises:
            ConditionError: Texts are shared by rows, which then have different inputs.
        """
        if not self.enabled or self.active is None:
            return []
        given = [weights.token_per_row() for weights in self.active.weights.values()]
        found = [token for token in given if token is not None]
        if found and self._text_of_row is not None:
            raise ConditionError("rows with tokens of their own cannot share the reading of a text")
        return found

    def controlled(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Pooled inputs as they are, or what `control` puts in their place."""
        if self.control is None:
            return dict(values)
        return {name: self.control(name, value) for name, value in values.items()}

    def complete(self, values: Mapping[str, Tensor]) -> None:
        """Write the weights that have waited for these conditions; a first pass is over by then.

        Args:
            values: Name of the condition → its value for every row.

        Raises:
            ConditionError: Conditions do not fit together.
        """
        before = self.active
        assert before is not None  # noqa: S101 - somebody is waiting
        values = self.controlled(values)
        given: dict[str, Any] = {k: v for c in before.conditions.values() for k, v in c.items()}
        after = self.generate({**given, **values}, None, repeats=before.repeats, before=before)
        self.active = replace(after, state=before.state)

    def generate(
        self,
        given: Mapping[str, Any],
        rows: int | None,
        *,
        repeats: bool = False,
        first_pass: bool = False,
        before: Active | None = None,
    ) -> Active:
        """The weights for these conditions, of every active adapter.

        Args:
            given: Keyword → value.
            rows: Number of rows of the batch, where it is known.
            repeats: Whether the rows may be repeated.
            first_pass: Whether these are the weights of a first pass.
            before: What was written when less was known.

        Raises:
            ConditionError: A condition is missing or does not fit the batch.
        """
        rows = rows if self._text_of_row is None else int(self._text_of_row.shape[0])
        pending = frozenset(self.instances(given, "first-pass", "encoder"))
        weights, conditions = {}, {}
        for adapter in self.tuner.active_adapters:
            network = self.tuner.network(adapter)
            device = network.device
            prepared = network.prepare(given, device, later=pending)
            for name, value in prepared.items():
                if rows is not None and value.shape[0] not in (1, rows):
                    raise ConditionError(
                        f"{name}: got {value.shape[0]} values for a batch of {rows} rows, wanted "
                        "one per row (a packed or unpadded batch has no rows of its own)"
                    )
                alone = value.shape[0] == 1 and _is_list(given[name], network.spec.conditions[name])
                if rows is not None and rows > 1 and alone:
                    raise ConditionError(
                        f"{name}: got 1 value for a batch of {rows} rows, wanted one per row"
                    )
            conditions[adapter] = prepared
            weights[adapter] = network(
                prepared,
                pending=pending,
                first_pass=first_pass,
                before=before.weights[adapter] if before is not None else None,
            )
        n_rows = {w.n_rows for w in weights.values() if w.n_rows is not None}
        most = max([0, *n_rows]) or None
        return Active(weights, conditions, most, repeats, self._state(), pending, first_pass)


def conditioning_of(model: nn.Module) -> Conditioning:
    """The conditioning of a `PeftModel` or of the Transformers model inside it.

    Raises:
        ConditionError: The model has no hyperadapter.
    """
    for module in model.modules():
        if ATTRIBUTE in module.__dict__:
            return module.__dict__[ATTRIBUTE]
    raise ConditionError(f"{type(model).__name__} has no hyperadapter")


@contextmanager
def conditioned(model: nn.Module, **conditions: Any) -> Iterator[None]:
    """Apply conditions to every call in the block, for callers that cannot pass keywords.

    Args:
        model: A `PeftModel` with a hyperadapter (or the model inside it).
        **conditions: Keyword → one value for all rows, or values with one entry per row.

    Raises:
        ConditionError: The model has no hyperadapter, or a condition is missing or out of range.

    Example:
        >>> with conditioned(model, annotator_ids=17):
        ...     pipeline(texts)
    """
    conditioning = conditioning_of(model)
    given = {name: value for name, value in conditions.items() if value is not None}
    if conditioning.enabled:
        conditioning.check({**conditioning.waiting, **given})
    # Every call makes its own weights: meanwhile adapters may be switched, trained or deleted.
    with conditioning.kept_waiting(given):
        yield


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    yield from network.parameters()
    yield from network.buffers()


def _is_list(value: Any, condition: Condition) -> bool:
    """Whether values were given as a list: then its length has to be that of the batch."""
    if isinstance(condition, Lookup):
        return isinstance(value, list | tuple) or getattr(value, "ndim", 0) > 0
    if isinstance(condition, Attributes) and isinstance(value, list | tuple):
        return bool(value) and hasattr(value[0], "keys")
    return getattr(value, "ndim", 0) == 2
