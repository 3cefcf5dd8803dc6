"""Small tables of predictions, written by hand or drawn by hypothesis."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

from hyperadapters.evaluation import CodedRows
from hyperadapters.labels import LabelSpace
from hyperadapters.tables import label_space_of, predictions_frame


def build(rows: list[tuple], names: tuple = (0, 1), **place) -> pd.DataFrame:
    """PREDICTIONS from (text, annotator, label, probabilities); fewer probabilities: the last
    one is what is left over."""
    texts, people, labels, given = zip(*rows, strict=True)
    full = [p if isinstance(p, tuple) else (1 - p, p) for p in given]
    values = np.array(full, dtype=np.float64)
    return predictions_frame(texts, people, values, LabelSpace.of(names), label=labels, **place)


def coded(frame: pd.DataFrame, drawn: str = "texts") -> CodedRows:
    return CodedRows.of(frame, label_space_of(frame), drawn)


@pytest.fixture(scope="session")
def table() -> Callable[..., pd.DataFrame]:
    return build


@pytest.fixture(scope="session")
def code() -> Callable[[pd.DataFrame], CodedRows]:
    return coded


@st.composite
def specifications(draw: st.DrawFn) -> tuple[list, list, np.ndarray]:
    """Up to 8 texts and 6 people, 2 to 4 labels, some labels unknown, some certainties.

    Only the ingredients of a table: the type checks of the library draw random numbers of their
    own, which hypothesis does not want inside of a strategy.
    """
    n_labels = draw(st.integers(2, 4))
    pair = st.tuples(st.integers(0, 7), st.integers(0, 5))
    pairs = draw(st.lists(pair, min_size=1, max_size=40, unique=True))
    label = st.none() | st.integers(0, n_labels - 1)
    labels = [draw(st.integers(0, n_labels - 1)), *(draw(label) for _ in pairs[1:])]
    weights = st.lists(st.integers(0, 5), min_size=n_labels, max_size=n_labels).filter(any)
    return pairs, labels, np.array([draw(weights) for _ in pairs], dtype=np.float64)


def assembled(specification: tuple[list, list, np.ndarray]) -> pd.DataFrame:
    pairs, labels, weights = specification
    return predictions_frame(
        [f"t{text}" for text, _ in pairs],
        [f"a{person}" for _, person in pairs],
        weights / weights.sum(axis=1, keepdims=True),
        LabelSpace.of(range(weights.shape[1])),
        label=labels,
        source=["known" if person < 3 else "population" for _, person in pairs],
    )


@pytest.fixture(scope="session")
def specification() -> st.SearchStrategy:
    return specifications()


@pytest.fixture(scope="session")
def assemble() -> Callable[[tuple], pd.DataFrame]:
    return assembled


@pytest.fixture(scope="session")
def big() -> pd.DataFrame:
    """3,000 texts with 5 ratings each by 1,000 people, three labels on a scale."""
    generator = np.random.default_rng(0)
    text = np.repeat(np.arange(3000), 5)
    person = np.concatenate([generator.choice(1000, 5, replace=False) for _ in range(3000)])
    label = generator.choice(3, size=15_000, p=[0.6, 0.3, 0.1])
    values = generator.dirichlet([1, 1, 1], size=15_000)
    values[np.arange(15_000), label] += 0.7
    values /= values.sum(axis=1, keepdims=True)
    return predictions_frame(text, person, values, LabelSpace.of(range(3)), label=label)
