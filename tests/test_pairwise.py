from itertools import combinations, product

import pytest

from pairwise import covering, one_by_one, pairwise

COLUMNS = {"family": ["T5", "BART"], "stage": [1, 2, 3], "kind": list("abcd"), "handed": [0, 1]}


def test_every_two_values_meet():
    chosen = covering(list(COLUMNS.values()))
    for (i, one), (j, other) in combinations(enumerate(COLUMNS.values()), 2):
        assert {(row[i], row[j]) for row in chosen} == set(product(one, other))
    assert len(chosen) == len(set(chosen)) < 48 / 3


def test_two_columns_are_the_full_product():
    assert sorted(covering([[1, 2], "ab"])) == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]


def test_the_rest_is_slow_and_nothing_is_left_out():
    family = ["T5", "BART", pytest.param("mT5", marks=pytest.mark.slow)]
    names, rows = pairwise(**{**COLUMNS, "family": family}).mark.args
    assert names == "family,stage,kind,handed"
    assert {row.values for row in rows} == set(
        product(["T5", "BART", "mT5"], *list(COLUMNS.values())[1:])
    )
    quick = [row.values for row in rows if not row.marks]
    assert quick == sorted(covering(list(COLUMNS.values())), key=[r.values for r in rows].index)
    assert {row.marks[0].name for row in rows if row.marks} == {"slow"}
    assert rows[0].id == "T5-1-a-0"


def test_each_value_beside_the_first_of_the_others():
    _, rows = one_by_one(recipe="abc", backbone=["t5", "bart"]).mark.args
    quick = [row.values for row in rows if not row.marks]
    assert quick == [("a", "t5"), ("a", "bart"), ("b", "t5"), ("c", "t5")]
    assert len(rows) == 6
