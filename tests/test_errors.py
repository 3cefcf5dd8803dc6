import pickle

import pytest

from hyperadapters import errors
from hyperadapters.errors import DataError, Fault, HyperAdaptersError


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("column 'label' is empty"), "column 'label' is empty"),
        (Fault("label missing", (3,)), "label missing (row 3)"),
        (Fault("label missing", (3, 8)), "label missing (rows 3, 8)"),
        (Fault("text missing", ("a", "b"), "item"), "text missing (items a, b)"),
        (Fault("bad", tuple(range(1, 6))), "bad (rows 1, 2, 3, 4, 5)"),
        (Fault("bad", tuple(range(1, 9))), "bad (rows 1, 2, 3, 4, 5 and 3 more)"),
    ],
)
def test_a_fault_names_its_rows_but_not_all_of_them(fault, text):
    assert str(fault) == text


def test_data_error_tells_every_fault_and_the_hint():
    error = DataError("x.csv", ["no column 'label'", Fault("empty", (2,))], hint="try --label y")
    assert str(error) == "x.csv: no column 'label'; empty (row 2)\ntry --label y"
    assert error.faults == (Fault("no column 'label'"), Fault("empty", (2,)))


def test_data_error_survives_a_worker_process():
    error = DataError("x.csv", [Fault("empty", (2,))], hint="h")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.faults, again.source) == (str(error), error.faults, error.source)


@pytest.mark.parametrize(
    "name", ["ConfigError", "ConditionError", "SiteError", "AdapterShapeError", "RunError"]
)
def test_every_error_is_caught_by_the_common_one(name):
    with pytest.raises(HyperAdaptersError, match="what was got"):
        raise getattr(errors, name)("what was got")
