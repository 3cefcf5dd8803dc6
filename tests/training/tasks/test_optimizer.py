import torch
from torch import nn

from hyperadapters.training.tasks.optimizer import ADAPTER, GENERATOR, NEW, build_optimizer

RATES = {ADAPTER: 0.1, NEW: 0.3, GENERATOR: 0.02}


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.crossattention = nn.Linear(2, 2)
        self.crossattention_norm = nn.LayerNorm(2)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)


def groups_of(optimizer, model):
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }


def test_rates_and_decay():
    model = nn.ModuleDict({"block": Block()})
    optimizer = build_optimizer(model, RATES, 0.01, ["crossattention"])
    assert groups_of(optimizer, model) == {
        "block.crossattention.weight": (0.3, 0.01),
        "block.crossattention.bias": (0.3, 0.0),
        "block.crossattention_norm.weight": (0.1, 0.0),
        "block.crossattention_norm.bias": (0.1, 0.0),
    }


def test_without_anything_new():
    model = nn.Linear(2, 2)
    optimizer = build_optimizer(model, RATES, 0.0)
    assert set(groups_of(optimizer, model).values()) == {(0.1, 0.0)}
    assert isinstance(optimizer, torch.optim.AdamW)
