import numpy as np
import pandas as pd
import pytest
import torch

from hyperadapters.conditions import POPULATION, Attributes, Instance, Lookup, Vector
from hyperadapters.encoders import prepare
from hyperadapters.errors import ConditionError, ConfigError

CPU = torch.device("cpu")
NAN, INF = float("nan"), float("inf")
VALUES = {"age": ("young", "old"), "country": 9, "gender": ("f", "m", "x")}
PEOPLE = Attributes(VALUES)
ALL = [Lookup(7), PEOPLE, Vector(3), Instance()]


def prepared(condition, value, instance_width=3) -> torch.Tensor:
    return prepare("who", condition, value, CPU, instance_width)


def refused(condition, value, message, instance_width=3):
    with pytest.raises(ConditionError, match=message) as error:
        prepared(condition, value, instance_width)
    assert "who" in str(error.value)


@pytest.mark.parametrize("condition", ALL)
def test_nothing_was_given(condition):
    refused(condition, None, "^missing condition who$")


class TestLookup:
    @pytest.mark.parametrize(
        "value",
        [
            [2, -1, 0],
            (2, -1, 0),
            np.array([2, -1, 0], dtype=np.int16),
            np.array([0, -1, 2])[::-1],
            torch.tensor([2, -1, 0], dtype=torch.int32),
            [torch.tensor(2), torch.tensor(-1), torch.tensor(0)],
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_one_index_per_row(self, value):
        index = prepared(Lookup(7), value)
        assert index.dtype == torch.long and index.tolist() == [2, POPULATION, 0]

    @pytest.mark.parametrize("value", [4, np.int64(4), torch.tensor(4), np.array(4), [4]])
    def test_one_index_for_all(self, value):
        index = prepared(Lookup(7), value)
        assert index.dtype == torch.long and index.tolist() == [4]

    def test_a_batch_without_rows(self):
        assert prepared(Lookup(7), torch.zeros(0, dtype=torch.long)).shape == (0,)
        assert prepared(Lookup(7), torch.zeros(0, 7)).shape == (0, 7)

    def test_a_mapping_is_a_mixture(self):
        weights = prepared(Lookup(4), {1: 0.25, 3: 0.75})
        assert weights.dtype == torch.float32 and weights.tolist() == [[0, 0.25, 0, 0.75]]

    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
    def test_mixtures(self, dtype):
        given = torch.eye(4, dtype=dtype, requires_grad=True)
        weights = prepared(Lookup(4), given)
        assert weights.dtype == torch.float32 and torch.equal(weights, torch.eye(4))
        weights.sum().backward()
        assert given.grad is not None
        rows = [[0.0, 1.0, 0.0, 0.0]]
        assert prepared(Lookup(4), rows).tolist() == rows

    @pytest.mark.parametrize(
        ("unknown", "index", "message"),
        [
            ("population", 4, "got index 4; wanted 0 to 3, or -1 for the population$"),
            ("population", -2, "got index -2; wanted 0 to 3, or -1 for the population$"),
            ("base", 4, "got index 4; wanted 0 to 3, or -1 for the backbone alone$"),
            ("error", 9, "got index 9; wanted 0 to 3$"),
            ("error", -2, "got index -2; wanted 0 to 3$"),
            ("error", -1, r"got -1 \(unknown\), which this model refuses; wanted 0 to 3$"),
        ],
    )
    def test_indices_out_of_range(self, unknown, index, message):
        refused(Lookup(4, unknown=unknown), [0, index, 1], "^who: " + message)

    @pytest.mark.parametrize("unknown", ["population", "base"])
    def test_nobody_in_particular(self, unknown):
        assert prepared(Lookup(4, unknown=unknown), -1).tolist() == [-1]

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (2.0, r"got torch.float32, wanted integers \(or mixtures, shape \(rows, 4\)\)$"),
            (torch.zeros(4), "got torch.float32, wanted integers"),
            (True, "got torch.bool, wanted integers"),
            (torch.ones(4) > 0, "got torch.bool, wanted integers"),
            (torch.zeros(2, 4, dtype=torch.bool), "got torch.bool, wanted integers"),
            ([1j], "got torch.complex64, wanted integers"),
            (
                torch.zeros(2, 3, dtype=torch.long),
                r"got shape \(2, 3\), wanted one index per row, shape \(rows,\)$",
            ),
            (torch.zeros(2, 4, 1), "got torch.float32, wanted integers"),
            (torch.zeros(2, 3), r"got shape \(2, 3\), wanted mixtures, shape \(rows, 4\)$"),
            ([[0.0, 1.0, NAN, 0.0]], "row 0: NaN or infinite; wanted finite numbers$"),
            ([[0.0] * 4, [NAN] * 4], r"row 1: all NaN \(missing\), which this model refuses$"),
            ({4: 1.0}, "mixture: got index 4; wanted 0 to 3$"),
            ({}, "a mixture needs at least one weight$"),
            ("w17", "got 'w17', wanted numbers"),
        ],
    )
    def test_what_is_no_index(self, value, message):
        refused(Lookup(4), value, "^who: " + message)


class TestAttributes:
    @pytest.mark.parametrize(
        "value",
        [
            [1, -1, 0],
            np.array([1, -1, 0]),
            torch.tensor([[1, -1, 0]], dtype=torch.int32),
            {"age": "old", "gender": "f"},
            [{"age": "old", "gender": "f"}],
            pd.Series({"gender": "f", "age": "old"}),
            pd.DataFrame({"gender": ["f"], "age": ["old"], "country": [NAN]}),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_one_row(self, value):
        index = prepared(PEOPLE, value)
        assert index.dtype == torch.long and index.tolist() == [[1, -1, 0]]

    @pytest.mark.parametrize(
        "value",
        [
            [[1, -1, 0], [-1, -1, -1]],
            np.array([[-1, -1, -1], [1, -1, 0]])[::-1],
            ({"age": "old", "gender": "f"}, {}),
        ],
    )
    def test_a_row_each(self, value):
        assert prepared(PEOPLE, value).tolist() == [[1, -1, 0], [-1, -1, -1]]

    def test_a_batch_without_rows(self):
        assert prepared(PEOPLE, torch.zeros(0, 3, dtype=torch.long)).shape == (0, 3)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ([2, 0, 0], "attribute 'age' got index 2; wanted 0 to 1, or -1 for a missing value$"),
            ([[0, 0, 0], [0, 9, 0]], "attribute 'country' got index 9; wanted 0 to 8, or -1"),
            ([0, 0, -2], "attribute 'gender' got index -2; wanted 0 to 2, or -1"),
            ([0, 0], r"got shape \(2,\), wanted \(3,\) or \(rows, 3\) for age, country, gender$"),
            (1, r"got shape \(\), wanted \(3,\) or \(rows, 3\)"),
            (torch.zeros(1, 1, 3).long(), r"got shape \(1, 1, 3\), wanted"),
            ([0.0, 1.0, 0.0], "got torch.float32, wanted integers, or a mapping of age, country, "),
            (torch.ones(3) > 0, "got torch.bool, wanted integers"),
            ("old", "got 'old', wanted numbers"),
            ({"aeg": "old"}, r"row 0: unknown attribute 'aeg' \(did you mean 'age'\?\)"),
            ([{}, "old"], "row 1: got 'old', wanted a mapping"),
        ],
    )
    def test_what_is_no_person(self, value, message):
        refused(PEOPLE, value, "^who: " + message)

    @pytest.mark.parametrize(
        "value", [[[0, 0, 0], [-1, -1, -1], [-1, -1, -1]], [{"age": "old"}, {}, {"gender": None}]]
    )
    def test_people_of_whom_nothing_is_known(self, value):
        strict = Attributes(VALUES, unknown="error")
        wanted = "^who: rows 1, 2: no value of age, country, gender, which this model refuses$"
        refused(strict, value, wanted)
        assert prepared(Attributes(VALUES, unknown="base"), value)[1].tolist() == [-1, -1, -1]
        assert prepared(strict, value[:1]).shape == (1, 3)

    def test_values_that_are_refused(self):
        strict = Attributes(VALUES, unknown="error")
        refused(strict, {"age": "ancient"}, "^who: row 0: attribute 'age' got 'ancient'; known: ")


@pytest.mark.parametrize("condition", [Vector(3), Instance()])
class TestVectors:
    @pytest.mark.parametrize(
        "value",
        [
            [0.5, -1.0, 2.0],
            (0.5, -1.0, 2.0),
            np.array([0.5, -1.0, 2.0]),
            np.array([2.0, -1.0, 0.5])[::-1],
            torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float16),
            torch.tensor([0.5, -1.0, 2.0], dtype=torch.bfloat16),
            [np.array([0.5, -1.0, 2.0])],
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_one_vector(self, condition, value):
        vector = prepared(condition, value)
        assert vector.dtype == torch.float32 and vector.tolist() == [[0.5, -1, 2]]

    def test_a_vector_each(self, condition):
        rows = torch.randn(4, 3, dtype=torch.float64)
        torch.testing.assert_close(prepared(condition, rows), rows.float(), rtol=0, atol=0)

    def test_the_default_type(self, condition):
        torch.set_default_dtype(torch.float64)
        try:
            assert prepared(condition, torch.ones(3, dtype=torch.float16)).dtype == torch.float64
        finally:
            torch.set_default_dtype(torch.float32)

    def test_gradients_are_kept(self, condition):
        given = torch.ones(3, dtype=torch.float64, requires_grad=True)
        prepared(condition, given).sum().backward()
        assert given.grad is not None and given.grad.tolist() == [1, 1, 1]

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ([1, 0, 0], "got torch.int64, wanted floats$"),
            (torch.ones(3) > 0, "got torch.bool, wanted floats$"),
            (torch.ones(3, dtype=torch.complex64), "got torch.complex64, wanted floats$"),
            (1.0, r"got shape \(\), wanted \(3,\) or \(rows, 3\) as a vector$"),
            (torch.zeros(3, 5), r"got shape \(3, 5\), wanted \(3,\) or \(rows, 3\) as a vector$"),
            (torch.zeros(1, 1, 3), r"got shape \(1, 1, 3\), wanted"),
            ([[0.0] * 3, [NAN, 0.0, 1.0]], "row 1: NaN or infinite; wanted finite numbers$"),
            ([[INF] * 3, [0.0] * 3, [-INF, 0.0, NAN]], "rows 0, 2: NaN or infinite"),
            (torch.full((3,), 1e300, dtype=torch.float64), "row 0: NaN or infinite"),
            ([[0.0] * 3, [NAN] * 3], r"row 1: all NaN \(missing\), which this model refuses$"),
            (torch.full((8, 3), NAN), "rows 0, 1, 2, 3, 4 and 3 more: all NaN"),
            ("happy", "got 'happy', wanted numbers"),
        ],
    )
    def test_what_is_no_vector(self, condition, value, message):
        refused(condition, value, "^who: " + message)


@pytest.mark.parametrize("unknown", ["population", "base"])
def test_vectors_may_be_missing(unknown):
    vector = Vector(3, unknown=unknown)
    rows = torch.tensor([[1.0, 2, 3], [NAN, NAN, NAN]])
    torch.testing.assert_close(prepared(vector, rows), rows, equal_nan=True, rtol=0, atol=0)
    refused(vector, [[NAN] * 3, [NAN, 1.0, 2.0]], "^who: row 1: NaN or infinite")


def test_instance_needs_the_width_of_the_backbone():
    with pytest.raises(ConfigError, match=r"^who: Instance needs the width of the backbone"):
        prepared(Instance(), torch.zeros(2, 3), instance_width=None)


WRONG_NUMBERS = [
    (Lookup(3), torch.tensor([9])),
    (Lookup(3), torch.full((1, 3), NAN)),
    (Attributes({"age": 3}), torch.tensor([[9]])),
    (Vector(3), torch.full((1, 3), NAN)),
    (Instance(), torch.full((1, 3), NAN)),
]


@pytest.mark.parametrize(("condition", "value"), WRONG_NUMBERS)
def test_no_number_is_looked_at_while_tracing(condition, value, monkeypatch):
    with pytest.raises(ConditionError):
        prepared(condition, value)
    # The meta device has no numbers: whatever asked for one would raise.
    meta = torch.device("meta")
    assert prepare("who", condition, value.to(meta), meta, 3).shape == value.shape
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    if value.is_floating_point():
        torch.testing.assert_close(prepared(condition, value), value, equal_nan=True)
    else:
        # The check of indices is an operation of the graph.
        with pytest.raises(RuntimeError, match="who: an index is out of range"):
            prepared(condition, value)


def test_types_and_shapes_are_checked_while_tracing(monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    refused(Lookup(3), torch.zeros(2), "wanted integers")
    refused(Vector(3), torch.zeros(2, 4), r"got shape \(2, 4\)")


@pytest.mark.parametrize(
    ("condition", "value"),
    [(Lookup(3), [1]), (Lookup(3), {1: 1.0}), (PEOPLE, {}), (Vector(3), [0.0] * 3)],
)
def test_the_device(condition, value):
    assert prepare("who", condition, value, torch.device("meta")).is_meta
