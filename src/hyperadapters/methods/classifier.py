"""A backbone with a hyperadapter that gives label probabilities for (text, annotator) rows."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from peft import PeftModel, get_peft_model
from torch import Tensor, nn

from hyperadapters.backbones import Backbone, LowerLayers, load_backbone, n_positions
from hyperadapters.conditions import Condition, Lookup, Vocabulary
from hyperadapters.data.array_cache import ArrayCache, default_folder
from hyperadapters.data.batches import RowBatch, prediction_batches
from hyperadapters.data.people import People
from hyperadapters.encoders import LookupEncoder
from hyperadapters.errors import ConfigError, RunError
from hyperadapters.hypernetworks import AdapterNetwork, StoredAdapters
from hyperadapters.labels import LabelSpace
from hyperadapters.methods.everyone import Everyone
from hyperadapters.methods.examples import Examples
from hyperadapters.methods.full import (
    backbone_parameters,
    is_full,
    load_backbone_weights,
    save_backbone,
    train_backbone,
)
from hyperadapters.methods.settings import Settings
from hyperadapters.methods.states import TextStates
from hyperadapters.methods.table import Method
from hyperadapters.tuner import HyperAdapterConfig, adapter_network, register
from hyperadapters.tuner.conditioning import conditioning_of
from hyperadapters.tuner.head import freeze_outputs
from hyperadapters.tuner.upstream import upstream_warnings_ignored

CONDITION = "annotator_ids"
"""Keyword under which the model takes the annotators' indices."""

ATTRIBUTES = "annotator_attributes"
"""Keyword under which it takes their attributes, where it is told these."""


class AnnotatorClassifier:
    """Texts and annotators in, label probabilities out.

    Args:
        method: What kind of adapter it is.
        settings: Its sizes.
        backbone: The frozen model.
        model: The PEFT model around it.
        labels: The label space.
        vocabulary: The annotators it knows.
        people: What it knows of them, where it is told attributes.

    Attributes:
        shares_texts: Whether a text is read once for all annotators of a batch; true while the
            LoRA weights do not differ between annotators.
        first_deviating: Number of the first layer in which annotators' LoRA weights may differ.
        adapted: Which annotators came after training, by a few labels of theirs.
    """

    def __init__(
        self,
        method: Method,
        settings: Settings,
        backbone: Backbone,
        model: nn.Module,
        labels: LabelSpace,
        vocabulary: Vocabulary,
        people: People | None = None,
    ) -> None:
        self.method = method
        self.settings = settings
        self.backbone = backbone
        self.model = model
        self.labels = labels
        self.vocabulary = vocabulary
        self.people = people
        self.adapted = np.zeros(len(vocabulary), bool)
        self._attributes = _of_known(people, vocabulary)
        # A token that differs between annotators makes all layers differ.
        self.lower = None if self.has_token else LowerLayers.of(backbone.model)
        # Found out by a call of the first layer.
        with conditioning_of(model).held(None, enabled=False):
            self._can_skip = self.lower is not None and self.lower.can_be_skipped
        self.is_full = is_full(method, settings)
        self._depth = _first_adapted_layer(backbone.model, settings)
        deviating = _deviating_layers(backbone.model, settings)
        self.first_deviating = deviating[0] if method.is_staged(settings) else self._depth
        self._states: dict[int, tuple[Examples, TextStates]] = {}

    @classmethod
    def build(
        cls,
        method: Method,
        settings: Settings,
        backbone: str,
        labels: LabelSpace,
        vocabulary: Vocabulary,
        seed: int,
        people: People | None = None,
    ) -> "AnnotatorClassifier":
        """A new, untrained classifier; the same seed gives the same start.

        Raises:
            ConfigError: The backbone cannot be loaded or has fewer layers than are to be adapted.
        """
        register()
        torch.manual_seed(seed)
        loaded = load_backbone(backbone, len(labels), settings.head_dropout, settings.head)
        config = _config(method, settings, loaded.model, len(vocabulary), people)
        with upstream_warnings_ignored():
            model = get_peft_model(loaded.model, config)
        if config.output_source == "per-condition":
            # Heads have their start in common, and nothing else.
            freeze_outputs(loaded.model, config.task_type)
        if is_full(method, settings):
            train_backbone(loaded.model)
        return cls(method, settings, loaded, model, labels, vocabulary, people)

    @classmethod
    def load(
        cls,
        folder: Path,
        method: Method,
        settings: Settings,
        backbone: str,
        labels: LabelSpace,
        vocabulary: Vocabulary,
        people: People | None = None,
    ) -> "AnnotatorClassifier":
        """A trained classifier, from its PEFT folder.

        Raises:
            RunError: The adapter is of other annotators than the vocabulary.
        """
        register()
        loaded = load_backbone(backbone, len(labels), head=settings.head)
        with upstream_warnings_ignored():
            model = PeftModel.from_pretrained(loaded.model, folder)
        if is_full(method, settings):
            load_backbone_weights(loaded.model, folder)
        model.eval()
        known = adapter_network(model).spec.conditions.get(CONDITION)
        size = known.size if isinstance(known, Lookup) else len(vocabulary)
        if size != len(vocabulary):
            raise RunError(
                f"{folder}: the adapter knows {size} annotators, the vocabulary {len(vocabulary)}"
            )
        return cls(method, settings, loaded, model, labels, vocabulary, people)

    @property
    def network(self) -> AdapterNetwork:
        """What writes the weights."""
        return adapter_network(self.model)

    @property
    def shares_texts(self) -> bool:
        """See the class."""
        adapts = [source.adapts for source in self.network.sources]  # pyright: ignore
        return not (self.has_token or any(adapts))

    @property
    def has_token(self) -> bool:
        """Whether annotators are tokens of the input."""
        return self.network.spec.token_source != "none"

    @property
    def max_length(self) -> int:
        """Tokens at which texts are cut, as set, or where they would not fit with a further one."""
        longest = self.settings.max_length
        return min(longest, n_positions(self.backbone.model) - 1) if self.has_token else longest

    @property
    def keeps_states(self) -> bool:
        """Whether there are frozen layers below all adapted ones, whose output can be kept."""
        return self._can_skip and self._depth > 0 and self.settings.keep_states != "no"

    def parameter_counts(self) -> dict[str, int]:
        """How many parameters are trained, and how many of them belong to single annotators."""
        trained = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        added = trained
        if self.is_full:
            added -= sum(p.numel() for _, p in backbone_parameters(self.backbone.model))
        tables = [m for m in self.network.modules() if isinstance(m, LookupEncoder)]
        of_conditions = sum(table.vectors.numel() for table in tables)
        stored = [m for m in self.network.modules() if isinstance(m, StoredAdapters)]
        of_conditions += sum(t.numel() for adapters in stored for t in adapters.tables())
        return {
            "trainable_parameters": trained,
            "condition_parameters": of_conditions,
            "backbone_parameters": sum(p.numel() for p in self.model.parameters()) - added,
        }

    def save(self, folder: Path) -> None:
        """Write the PEFT adapter (`adapter_config.json`, `adapter_model.safetensors`).

        Where the backbone was trained it is written too (`backbone.safetensors`).
        """
        if self.is_full:
            save_backbone(self.backbone.model, folder)
        # Embeddings are frozen; left to itself PEFT would ask the hub about their size.
        self.model.save_pretrained(folder, save_embedding_layers=False)  # pyright: ignore[reportCallIssue]

    def examples(self, frame: pd.DataFrame) -> Examples:
        """Rows made ready; see `Examples.of`."""
        return Examples.of(
            frame,
            self.backbone.tokenizer,
            self.vocabulary,
            self.labels,
            self.max_length,
            self.people,
        )

    def attributes_of(self, annotators: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n n_attributes"]:
        """What is known of annotators, by their indices (-1: nobody in particular)."""
        return self._attributes[annotators]

    def told(
        self, annotators: Int[np.ndarray, " n"], attributes: Int[np.ndarray, "n n_attributes"]
    ) -> dict[str, Tensor]:
        """The conditions that the model is told, of rows by these annotators."""
        spec, device = self.network.spec, next(self.model.parameters()).device
        given = {CONDITION: annotators, ATTRIBUTES: attributes}
        names = [name for name in given if name in spec.conditions and spec.needs_conditions]
        return {name: torch.from_numpy(given[name]).to(device) for name in names}

    @contextmanager
    def states_of(self, examples: Examples) -> Iterator[None]:
        """Keep what the frozen trunk makes of these texts for the length of the block."""
        if self.keeps_states and id(examples) not in self._states:
            assert self.lower is not None  # noqa: S101 - for the type checker
            settings, cache = self.settings, None
            if settings.keep_states == "disk":
                cache = ArrayCache(default_folder(), int(settings.cache_gigabytes * 2**30))
            with self.in_precision():
                states = TextStates(
                    self.lower,
                    self._depth,
                    examples.tokens,
                    cache=cache,
                    precision=settings.precision,
                )
            self._states[id(examples)] = (examples, states)
        try:
            yield
        finally:
            self._states.pop(id(examples), None)

    def everyone(self, annotators: np.ndarray) -> Everyone:
        """These annotators (indices, -1 for the population), to be asked about any texts."""
        return Everyone(self, annotators)

    def logits(self, examples: Examples, batch: RowBatch) -> Tensor:
        """Logits of shape ``(rows, labels)`` for the rows of a batch, in their order.

        A text is read once for all its rows as far up as nothing differs between annotators: the
        frozen trunk (kept by `states_of`), layers that have the shared adapter alone, and, while
        nobody deviates, everything below the head.
        """
        with self.in_precision():
            return self._logits(examples, batch).float()

    def in_precision(self) -> AbstractContextManager[Any]:
        """A block in which products are taken in the precision of the settings."""
        if self.settings.precision == "float32":
            return nullcontext()
        device = next(self.model.parameters()).device
        return torch.autocast(device.type, dtype=getattr(torch, self.settings.precision))

    def _logits(self, examples: Examples, batch: RowBatch) -> Tensor:
        device = next(self.model.parameters()).device
        text_of_row = torch.from_numpy(batch.text_of_row).to(device)
        conditions = self.told(examples.annotators[batch.rows], examples.attributes[batch.rows])
        if self.model.training and ATTRIBUTES in conditions and CONDITION in conditions:
            hidden = torch.rand(len(batch.rows), device=device) < self.settings.identity_dropout
            conditions[CONDITION] = conditions[CONDITION].masked_fill(hidden, -1)
        kept = self._states.get(id(examples))
        states = kept[1].of(batch.texts).to(device) if kept else None
        inputs = {n: v.to(device) for n, v in examples.tokens.batch(batch.texts).items()}
        conditioning = conditioning_of(self.model)
        if self.shares_texts:
            each = torch.arange(len(batch.texts), device=device)
            with self._below(each, 0, states), conditioning.sharing_texts(text_of_row):
                return self.model(**inputs, **conditions).logits
        rows = {name: value.index_select(0, text_of_row) for name, value in inputs.items()}
        with (
            conditioning.applied(conditions, len(batch.rows)),
            self._below(text_of_row, self.first_deviating, states),
        ):
            return self.model(**rows).logits

    @contextmanager
    def _below(self, text_of_row: Tensor, end: int, states: Tensor | None) -> Iterator[None]:
        """Layers below `end` see texts, and those that are frozen drop nothing out."""
        if self.lower is None or not (end or self._depth):
            yield
            return
        quiet = self.lower.evaluating(self._depth) if self._depth else nullcontext()
        with quiet, self.lower.once_per_text(text_of_row, end, states=states, depth=self._depth):
            yield

    @torch.no_grad()
    def probabilities(self, examples: Examples) -> np.ndarray:
        """Label probabilities of all rows, shape ``(rows, labels)``, float64, rows sum to 1."""
        self.model.eval()
        out = np.empty((len(examples), len(self.labels)))
        size = self.settings.eval_batch_size
        for batch in prediction_batches(examples.text_of_row, examples.tokens.lengths, size):
            logits = self.logits(examples, batch)
            out[batch.rows] = logits.double().softmax(dim=-1).cpu().numpy()
        return out


def _config(
    method: Method, settings: Settings, model: Any, n_annotators: int, people: People | None
) -> HyperAdapterConfig:
    first = _first_adapted_layer(model, settings)
    last = int(model.config.num_hidden_layers)
    weights, staged = dict(method.weights), method.is_staged(settings)
    if method.has_deviations and not staged:
        weights["source"] = "learned"
    if is_full(method, settings):
        weights["source"] = "none"
    return HyperAdapterConfig(
        task_type="SEQ_CLS",
        r=settings.r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        layers_to_transform=list(range(first, last)),
        conditions=_conditions(method, n_annotators, people),
        condition_width=settings.condition_width,
        site_width=settings.site_width,
        hidden_width=settings.hidden_width,
        hypernetwork_dropout=settings.hypernetwork_dropout,
        generate_a=settings.generate_a,
        deviating_layers=_deviating_layers(model, settings) if staged else None,
        taste_rank=settings.taste_rank,
        condition_noise=settings.condition_noise,
        condition_dropout=settings.condition_dropout,
        **weights,
    )


def _of_known(
    people: People | None, vocabulary: Vocabulary
) -> Int[np.ndarray, "annotators_and_one n_attributes"]:
    """Attributes of all annotators; and in the last place, which -1 is, those of nobody: none."""
    if people is None:
        return np.empty((len(vocabulary) + 1, 0), np.int64)
    known = people.of_annotators(vocabulary.names)
    return np.vstack([known, np.full((1, known.shape[1]), -1)])


def _conditions(method: Method, n_annotators: int, people: People | None) -> dict[str, Condition]:
    conditions: dict[str, Condition] = {}
    if "annotator" in method.told:
        conditions[CONDITION] = Lookup(n_annotators)
    if "attributes" in method.told:
        if people is None:
            raise ConfigError(f"{method.name} needs attributes of annotators")
        conditions[ATTRIBUTES] = people.attributes
    return conditions


def _first_adapted_layer(model: Any, settings: Settings) -> int:
    """Number of the first adapted layer; 0 where there is no trunk to reuse."""
    layers = int(model.config.num_hidden_layers)
    if settings.tuning == "full":
        return 0
    # What nobody asked for, the default, may be more than there are.
    if layers < settings.adapted_layers != Settings.adapted_layers:
        raise ConfigError(
            f"adapted_layers is {settings.adapted_layers}, but the backbone has {layers} layers; "
            "0 adapts all of them"
        )
    return max(0, layers - settings.adapted_layers) if settings.adapted_layers else 0


def _deviating_layers(model: Any, settings: Settings) -> list[int]:
    """Numbers of the layers in which annotators deviate, counted from the top like the adapted."""
    first, last = _first_adapted_layer(model, settings), int(model.config.num_hidden_layers)
    count = settings.deviating_layers or last
    return list(range(max(first, last - count), last))
