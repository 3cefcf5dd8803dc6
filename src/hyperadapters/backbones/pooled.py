"""A sentence encoder with a classification head on its masked mean."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class ClassificationHead(nn.Module):
    """dropout → linear → tanh → dropout → linear, the head of RoBERTa (Liu et al. 2019).

    Args:
        width: Width of the input.
        n_labels: Number of logits.
        dropout: Dropout probability.
    """

    def __init__(self, width: int, n_labels: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.out_proj = nn.Linear(width, n_labels)

    def forward(self, features: Float[Tensor, "texts width"]) -> Float[Tensor, "rows n_labels"]:
        """Pooled vectors → logits; one row per text, unless a hook makes several of each."""
        hidden = torch.tanh(self.dense(self.dropout(features)))
        return self.out_proj(self.dropout(hidden))


class MeanPooledClassifier(BertPreTrainedModel):
    """A BERT-type encoder, masked mean over its last states, and a classification head.

    Sentence encoders such as all-MiniLM-L6-v2 are trained with this pooling; the usual
    `BertForSequenceClassification` would read their untrained [CLS] vector instead.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.num_labels: Any = config.num_labels
        self.bert = BertModel(config, add_pooling_layer=False)
        dropout = config.classifier_dropout
        self.classifier = ClassificationHead(
            config.hidden_size,
            self.num_labels,
            config.hidden_dropout_prob if dropout is None else dropout,
        )
        self.post_init()

    def forward(
        self,
        input_ids: Int[Tensor, "texts positions"] | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Int[Tensor, "texts positions"] | None = None,
        inputs_embeds: Float[Tensor, "texts positions width"] | None = None,
        labels: Int[Tensor, " rows"] | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Logits of shape ``(rows, n_labels)``; the mean cross-entropy where there are labels."""
        states = self.bert(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            inputs_embeds=inputs_embeds,
            **kwargs,
        ).last_hidden_state
        logits = self.classifier(masked_mean(states, attention_mask))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def masked_mean(
    states: Float[Tensor, "texts positions width"], mask: Tensor | None
) -> Float[Tensor, "texts width"]:
    """Mean over the positions whose mask is 1; over all positions without a mask."""
    if mask is None:
        return states.mean(dim=1)
    weight = mask.to(states.dtype).unsqueeze(-1)
    return (states * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)
