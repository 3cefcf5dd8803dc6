"""What the entries of the catalogue are put together from."""

from collections.abc import Mapping, Sequence

from hyperadapters.tasks.hub import Hub
from hyperadapters.tasks.task import SplitRule, Task

# The branch of the hub on which sets that were made by scripts lie as Parquet.
CONVERTED = "refs/convert/parquet"

# The test split of many sets has no labels; these splits are all that can be learned from.
NO_TEST: Mapping[str, str] = {"train": "train", "dev": "validation"}
WITH_TEST: Mapping[str, str] = {"train": "train", "dev": "validation", "test": "test"}
# No validation split: the labelled test split is the official set to score on.
TEST_ONLY: Mapping[str, str] = {"train": "train", "dev": "test"}


def numbered(n_labels: int, first: int = 0) -> dict[str, str]:
    """Labels that are written as their own numbers, as the paper does: ``{"0": "0", "1": "1"}``."""
    return {str(label): str(label) for label in range(first, first + n_labels)}


def classification(
    name: str,
    source: str,
    labels: Mapping[str, str],
    hub: Hub,
    *,
    metrics: Sequence[str] = ("accuracy",),
    target: str = "label",
    split_rule: SplitRule = "official",
) -> Task:
    """A task whose targets are label words."""
    return Task(
        name,
        "classification",
        source,
        target,
        tuple(metrics),
        labels=labels,
        split_rule=split_rule,
        hub=hub,
    )
