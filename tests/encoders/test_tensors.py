import numpy as np
import pandas as pd
import pytest
import torch

from hyperadapters.encoders.tensors import as_tensor
from hyperadapters.errors import ConditionError

READ_ONLY = np.arange(3)
READ_ONLY.setflags(write=False)


@pytest.mark.parametrize(
    "value",
    [
        [0, 1, 2],
        (0, 1, 2),
        range(3),
        np.arange(3),
        np.arange(3, dtype=np.int16),
        np.arange(3, dtype=np.uint16),
        np.arange(3, dtype=">i8"),
        np.arange(2, -1, -1)[::-1],
        READ_ONLY,
        list(np.arange(3)),
        [torch.tensor(0), torch.tensor(1), 2],
        pd.Series([0, 1, 2], index=[7, 8, 9]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numbers_in_a_row(value):
    assert as_tensor("who", value).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "value",
    [
        [[1.0, 2.0], [3.0, 4.0]],
        [np.array([1.0, 2.0]), np.array([3.0, 4.0])],
        [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])],
        np.array([[1.0, 3.0], [2.0, 4.0]]).T,
    ],
)
def test_rows(value):
    assert as_tensor("who", value).tolist() == [[1, 2], [3, 4]]


def test_single_numbers():
    for value in (4, np.int64(4), torch.tensor(4), np.array(4)):
        assert as_tensor("who", value).ndim == 0 and as_tensor("who", value) == 4


def test_gradients_are_kept():
    given = torch.ones(2, requires_grad=True)
    assert as_tensor("who", given) is given
    as_tensor("who", [given, given]).sum().backward()
    assert given.grad is not None and given.grad.tolist() == [2, 2]


def test_an_array_is_copied():
    array = np.zeros(3)
    tensor = as_tensor("who", array)
    array += 1
    assert tensor.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "value",
    [
        "w17",
        ["w17"],
        [1, None],
        [[1, 2], [3]],
        [np.zeros(2), np.zeros(3)],
        [torch.zeros(2), torch.zeros(3)],
        np.array(["w17"]),
        np.array([1, None]),
        2**70,
        pytest.param(object(), id="object"),
    ],
    ids=str,
)
def test_what_is_no_number(value):
    with pytest.raises(ConditionError, match=r"^who: got .*, wanted numbers \("):
        as_tensor("who", value)


def test_long_values_are_not_printed_whole():
    with pytest.raises(ConditionError) as error:
        as_tensor("who", ["w"] * 1000)
    assert len(str(error.value)) < 250 and "..., wanted numbers" in str(error.value)
