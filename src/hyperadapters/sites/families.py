"""Which modules are adapted by default, per family of backbones (`config.model_type`).

The attention's query and value projections, as in Hu et al. 2021 (https://arxiv.org/abs/2106.09685).
"""

DEFAULT_TARGETS: dict[str, list[str]] = {
    "bert": ["query", "value"],
    "camembert": ["query", "value"],
    "electra": ["query", "value"],
    "roberta": ["query", "value"],
    "xlm-roberta": ["query", "value"],
}
