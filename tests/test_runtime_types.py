"""That wrong types and shapes do not pass unseen while tests run."""

from typing import TYPE_CHECKING

import pytest
import torch
from beartype import beartype
from jaxtyping import Float, TypeCheckError
from torch import Tensor

import runtime_types
from hyperadapters.adapters.rows import project
from hyperadapters.labels import LabelSpace

if TYPE_CHECKING:
    from nowhere import Nobody


def checked(fn):
    return runtime_types.jaxtyped(typechecker=beartype)(fn)


def test_types_of_the_package_are_checked():
    with pytest.raises(TypeCheckError):
        LabelSpace.of(["0", "1"], kind=3)


def test_shapes_of_the_package_are_checked():
    assert project(torch.ones(2, 3, 4), torch.ones(2, 5, 4)).shape == (2, 3, 5)
    with pytest.raises(TypeCheckError):
        project(torch.ones(2, 3, 4), torch.ones(2, 5))


@checked
def twice(x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    return torch.cat([x, x])


@checked
def optional(x: "Float[Tensor, 'n 2'] | None") -> None: ...


@checked
def length(x: int) -> str:
    return x


@checked
def known_to_checkers_alone(who: "Nobody", x: int) -> "Nobody":
    return who


def test_shapes_that_are_returned():
    with pytest.raises(TypeCheckError):
        twice(torch.ones(3))
    assert len(twice(torch.ones(0))) == 0


def test_shapes_in_quotes():
    optional(None)
    with pytest.raises(TypeCheckError):
        optional(torch.ones(3))


def test_types_that_are_returned():
    with pytest.raises(TypeCheckError):
        length(3)


def test_what_only_type_checkers_know_is_anything_and_the_rest_is_checked():
    assert known_to_checkers_alone("me", 3) == "me"
    assert known_to_checkers_alone.__annotations__["who"] == "Nobody"
    with pytest.raises(TypeCheckError):
        known_to_checkers_alone("me", "three")
