"""Which modules are adapted by default, per family of backbones (`config.model_type`).

Every entry is held against a tiny model by `tests/families/test_tables.py`.
"""

from collections.abc import Iterable

_BERT = ("query", "value")
_PROJECTIONS = ("q_proj", "v_proj")
_T5 = ("q", "v")


def _each(names: str, targets: Iterable[str]) -> dict[str, list[str]]:
    # Lists of their own: PEFT hands them on to configurations, which users may change.
    return {name: list(targets) for name in names.split()}


# For LoRA: the attention's query and value projections, as in Hu et al. 2021
# (https://arxiv.org/abs/2106.09685), or the one module that holds them.
DEFAULT_TARGETS: dict[str, list[str]] = {
    **_each("albert bert camembert electra roberta xlm-roberta", _BERT),
    "distilbert": ["q_lin", "v_lin"],
    "mpnet": ["q", "v"],
    # Query and key in one; what it projects are tokens. `pos_proj` and `pos_q_proj` project
    # relative positions, which belong to no row.
    "deberta": ["in_proj"],
    # With `share_att_key` (DeBERTa-v3) `query_proj` and `key_proj` also project relative positions,
    # which belong to no row.
    "deberta-v2": ["value_proj", "attention.output.dense"],
    "modernbert": ["attn.Wqkv"],
    "gpt2": ["c_attn"],
    "gpt_neox": ["query_key_value"],
    **_each("gemma gemma2 gemma3_text llama mistral opt phi qwen2 qwen3", _PROJECTIONS),
    "phi3": ["qkv_proj"],
    **_each("bart mbart", _PROJECTIONS),
    **_each("mt5 t5 umt5", _T5),
}

_POST_NORM = ("intermediate.dense>output.dense",)
_T5_LAYERS = (r"re:(.*\.)?(encoder\.block\.\d+\.layer\.1|decoder\.block\.\d+\.layer\.2)",)

# For a parallel adapter, which reads what the feed-forward sub-layer reads and adds to what that
# writes. An entry is one of
#   "mlp"    the module of this name (the end of its path) is the sub-layer;
#   "A>B"    the sub-layer is spread over siblings: reads where A reads, adds to what B writes;
#   "re:…"   as a name, but a regular expression for the whole path.
# Gemma 2 and 3 normalise once more behind the `mlp`, and what is added to it with it.
# T5's sub-layer has its norm and its residual inside, so the adapter reads the residual stream.
# OPT is not here: it flattens rows and positions before `fc1`.
FEED_FORWARD: dict[str, list[str]] = {
    **_each("bert camembert deberta deberta-v2 electra mpnet roberta xlm-roberta", _POST_NORM),
    "albert": ["ffn>ffn_output"],
    "distilbert": ["ffn"],
    **_each("gemma gpt2 gpt_neox llama mistral", ["mlp"]),
    **_each("modernbert phi phi3 qwen2 qwen3", ["mlp"]),
    # These have a norm behind the sub-layer: what is added is not to be normalised with it.
    **_each("gemma2 gemma3_text", ["mlp>post_feedforward_layernorm"]),
    **_each("bart mbart", ["fc1>fc2"]),
    **_each("mt5 t5 umt5", _T5_LAYERS),
}
