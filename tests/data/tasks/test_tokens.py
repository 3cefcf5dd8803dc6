import numpy as np
import torch

from hyperadapters.data.tasks import TaskTokens


def tokens(**changes):
    fields = {
        "input_ids": [[5, 6, 7], [8], [9, 10]],
        "labels": [[1], [2, 3], [4]],
        "example": np.array([0, 0, 1]),
        "task": np.array([0, 0, 1]),
        "pad_id": 99,
    }
    return TaskTokens(**{**fields, **changes})


def test_a_batch_is_padded_on_the_right():
    batch = tokens().batch([0, 1])
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 99, 99]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[1, -100], [2, 3]]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def test_rows_come_in_the_order_asked_for():
    assert tokens().batch(np.array([2, 1]))["input_ids"].tolist() == [[9, 10], [8, 99]]
    assert tokens().batch([1, 1])["input_ids"].tolist() == [[8], [8]]


def test_without_targets_there_are_no_labels():
    assert set(tokens(labels=None).batch([0])) == {"input_ids", "attention_mask"}


def test_a_device():
    assert tokens().batch([0], device="meta")["labels"].device.type == "meta"


def test_lengths():
    assert len(tokens()) == 3
    assert tokens().lengths.tolist() == [3, 1, 2]
