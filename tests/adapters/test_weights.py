import torch

from hyperadapters.adapters import AdapterWeights, HeadWeights, LoRAWeights


def test_rows_pick_the_weights_of_their_condition():
    a, b = torch.randn(2, 3, 4), torch.randn(2, 5, 3)
    bias, gate = torch.randn(2, 6), torch.randn(2, 7)
    taste_in, taste_out = torch.randn(7, 4), torch.randn(6, 7)
    rows = torch.tensor([1, 0, 1])
    head = HeadWeights(None, bias, gate, taste_in, taste_out)
    weights = AdapterWeights([LoRAWeights(a, b)], head, rows)
    assert weights.n_rows == 3
    assert torch.equal(weights.lora_at(0).a, torch.stack([a[1], a[0], a[1]]))
    assert torch.equal(weights.lora_at(0).b, torch.stack([b[1], b[0], b[1]]))
    per_row = weights.head_per_row()
    assert per_row.shift is None
    assert per_row.bias is not None and torch.equal(per_row.bias, bias[rows])
    assert per_row.gate is not None and torch.equal(per_row.gate, gate[rows])
    assert per_row.taste_in is taste_in and per_row.taste_out is taste_out


def test_what_all_rows_share_is_not_copied():
    a, b = torch.randn(1, 3, 4), torch.randn(2, 5, 3)
    per_row = AdapterWeights([LoRAWeights(a, b)], rows=torch.tensor([0, 1, 1])).lora_at(0)
    assert per_row.a is a and per_row.b.shape[0] == 3


def test_without_rows_one_set_serves_all():
    a, b = torch.randn(1, 3, 4), torch.randn(1, 5, 3)
    weights = AdapterWeights([LoRAWeights(a, b)])
    assert weights.n_rows is None
    assert weights.lora_at(0).a is a and weights.lora_at(0).b is b
