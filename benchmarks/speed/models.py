"""The models that are compared, each as its own users would make it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from benchmarks.speed.setting import ROBERTA
from peft import LoraConfig, PeftConfig, get_peft_model
from torch import Tensor, nn
from transformers import RobertaConfig, RobertaForSequenceClassification

import hyperadapters as ha
from hyperadapters.backbones import load_backbone, use_plain_products
from hyperadapters.methods import find_method
from hyperadapters.tuner.upstream import upstream_warnings_ignored

LABELS = 2
TARGETS = ["query", "value"]
RANK, ALPHA = 8, 16


class Batch(NamedTuple):
    """Rows of random tokens.

    Attributes:
        inputs: `input_ids`, `attention_mask` and `labels`.
        annotators: Index of the annotator of every row.
    """

    inputs: dict[str, Tensor]
    annotators: Tensor

    def part(self, rows: Tensor) -> "Batch":
        """Some of the rows."""
        return Batch({n: value[rows] for n, value in self.inputs.items()}, self.annotators[rows])


def backbone(name: str, device: str) -> Any:
    """A sequence classifier, always with the same head."""
    torch.manual_seed(0)
    if name == ROBERTA:
        config = RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1)
        config.num_labels = LABELS
        return RobertaForSequenceClassification(config).to(device)  # pyright: ignore
    return load_backbone(name, LABELS).model.to(device)


def batch(model: Any, rows: int, tokens: int, n_distinct: int, device: str) -> Batch:
    """Random rows without padding, of `n_distinct` annotators in turn."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(4, model.config.vocab_size, (rows, tokens), generator=generator)
    labels = torch.randint(LABELS, (rows,), generator=generator)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    moved = {name: value.to(device) for name, value in inputs.items()}
    return Batch(moved, (torch.arange(rows) % n_distinct).to(device))


def ours(model: Any, n_annotators: int) -> nn.Module:
    """LoRA written for every row, in all layers."""
    config = ha.HyperAdapterConfig(
        task_type="SEQ_CLS",
        r=RANK,
        lora_alpha=ALPHA,
        target_modules=TARGETS,
        conditions={"annotator_ids": ha.Lookup(n_annotators)},
    )
    return _adapted(model, config)


def published(model: Any, n_annotators: int) -> nn.Module:
    """The hypernetwork of Ignatev et al. 2025 in its published widths, at our rank."""
    method = find_method("hyperlora-paper")
    settings = method.settings
    config = ha.HyperAdapterConfig(
        task_type="SEQ_CLS",
        r=RANK,
        lora_alpha=ALPHA,
        target_modules=TARGETS,
        conditions={"annotator_ids": ha.Lookup(n_annotators)},
        condition_width=settings.condition_width,
        site_width=settings.site_width,
        hidden_width=settings.hidden_width,
        hypernetwork_dropout=settings.hypernetwork_dropout,
        **method.weights,
    )
    return _adapted(model, config)


def as_pytorch(model: Any) -> Any:
    """A model of ours whose products are PyTorch's own, as those of the peers are."""
    use_plain_products(model)
    return model


def plain_lora(model: Any) -> nn.Module:
    """One LoRA for everybody, in all layers."""
    config = LoraConfig(task_type="SEQ_CLS", r=RANK, lora_alpha=ALPHA, target_modules=list(TARGETS))
    return _adapted(model, config)


def separate_loras(model: Any, n_adapters: int, head: list[str]) -> Any:
    """A LoRA and a head for each annotator, in one PEFT model.

    Args:
        model: The backbone.
        n_adapters: Number of adapters; see `adapter_name`.
        head: Modules of the head. PEFT can only mix rows of several heads that are linear modules.
    """

    def config() -> LoraConfig:
        return LoraConfig(
            r=RANK, lora_alpha=ALPHA, target_modules=list(TARGETS), modules_to_save=list(head)
        )

    adapted = _adapted(model, config(), adapter_name(0))
    for number in range(1, n_adapters):
        adapted.add_adapter(adapter_name(number), config())
    return adapted


def adapter_name(annotator: int) -> str:
    """Name of the adapter of an annotator."""
    return f"annotator_{annotator}"


def linear_head(model: Any) -> list[str]:
    """Names of the linear modules of a classifier's head."""
    return [
        f"classifier.{name}" if name else "classifier"
        for name, module in model.classifier.named_modules()
        if isinstance(module, nn.Linear)
    ]


class FullFineTuning(nn.Module):
    """A backbone trained in full, with a vector for each annotator added to what the head reads.

    As AART (Mokhberian et al. 2024, https://arxiv.org/abs/2311.09743), without its contrastive
    term: cross-entropy plus a penalty on the vectors of the batch.

    Args:
        model: The backbone; its head reads pooled states, or all states and takes the first.
        n_annotators: Number of annotators.
        penalty: Weight of the squared norm.
    """

    def __init__(self, model: Any, n_annotators: int, penalty: float = 0.1) -> None:
        super().__init__()
        self.model = model
        self.vectors = nn.Embedding(n_annotators, model.config.hidden_size)
        self.penalty = penalty

    def forward(self, annotator_ids: Tensor, **inputs: Tensor) -> Any:
        """The model's output, with the penalty in its loss."""
        vectors = self.vectors(annotator_ids)

        def add(head: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
            (states,) = args
            return (states + (vectors if states.ndim == 2 else vectors.unsqueeze(1)),)

        handle = self.model.classifier.register_forward_pre_hook(add)
        try:
            output = self.model(**inputs)
        finally:
            handle.remove()
        output.loss = output.loss + self.penalty * vectors.square().sum(dim=1).mean()
        return output


def trained(model: nn.Module) -> Iterator[nn.Parameter]:
    """Parameters that are trained, those of inactive adapters among them."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad or "lora_" in name or "modules_to_save" in name:
            yield parameter


def _adapted(model: Any, config: PeftConfig, name: str = "default") -> Any:
    with upstream_warnings_ignored():
        return get_peft_model(model, config, adapter_name=name)
