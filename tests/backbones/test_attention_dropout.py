"""Without dropout of attention weights, training is repeatable where nothing else is random."""

import pytest
import torch
from transformers import BartConfig, BartModel, BertConfig, BertModel, T5Config, T5Model

from hyperadapters.backbones import stop_attention_dropout

SMALL = {"vocab_size": 30}
MODELS = {
    "bert": lambda: BertModel(
        BertConfig(
            **SMALL,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.5,
        )
    ),
    "bart": lambda: BartModel(
        BartConfig(
            **SMALL,
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
            dropout=0.0,
            attention_dropout=0.5,
        )
    ),
}


def outputs(model):
    ids = torch.arange(3, 11)[None]
    names = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        return model(input_ids=ids, **names).last_hidden_state


@pytest.mark.parametrize("family", MODELS)
def test_nothing_is_random_any_more(family):
    torch.manual_seed(0)
    model = MODELS[family]().train()
    assert not torch.equal(outputs(model), outputs(model))
    assert stop_attention_dropout(model) == {"bert": 2, "bart": 3}[family]
    assert torch.equal(outputs(model), outputs(model))
    assert stop_attention_dropout(model) == 0


def test_other_dropout_stays():
    config = T5Config(
        **SMALL, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, dropout_rate=0.5
    )
    model = T5Model(config).train()
    assert stop_attention_dropout(model) == 3
    attention = model.encoder.block[0].layer[0]
    assert attention.SelfAttention.dropout == 0 and attention.dropout.p == 0.5
