"""Rows of the tables of a trained classifier: taken out, under other names, or made one."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hyperadapters.conditions import Attributes, Vocabulary
from hyperadapters.data.people import People
from hyperadapters.encoders import AttributesEncoder, LookupEncoder
from hyperadapters.hypernetworks import StoredAdapters
from hyperadapters.hypernetworks.outputs import StoredOutputs
from hyperadapters.methods.classifier import ATTRIBUTES, CONDITION, AnnotatorClassifier


def population_is_a_mean(classifier: AnnotatorClassifier) -> bool:
    """Whether nobody in particular is the mean of the people, so that it changes with them."""
    return any(
        isinstance(module, StoredAdapters | StoredOutputs)
        or (isinstance(module, LookupEncoder) and not module.centred)
        for module in classifier.network.modules()
    )


Shares = Mapping[str, float]
"""Old name → its share in the mean that a new person's row is; they sum to 1."""


@torch.no_grad()
def take_rows(
    classifier: AnnotatorClassifier,
    vocabulary: Vocabulary,
    people: People | None,
    *,
    taken: Sequence[str] | None = None,
    merged: Mapping[str, Shares] | None = None,
) -> int:
    """Make the tables those of other people, out of the rows that are there.

    Rows that are not merged stay what they are to the bit. Values of attributes that these people
    do not have are taken out too. The classifier is to be saved afterwards and loaded again: it
    does not predict itself.

    Args:
        classifier: The classifier, which is changed.
        vocabulary: Who there will be.
        people: What is known of them, in attributes and values that are among those of before.
        taken: The old name of each of them; by default they have their names already.
        merged: New name → what its row is the weighted mean of, in the place of one old row.

    Returns:
        How many parameters fewer there are.
    """
    before = classifier.vocabulary
    kept = torch.from_numpy(before.indices(taken or vocabulary.names, strict=True))
    means = [
        (int(vocabulary.indices([name], strict=True)[0]), *_mean(before, shares))
        for name, shares in (merged or {}).items()
    ]
    conditions: dict[str, Any] = classifier.model.peft_config["default"].conditions  # pyright: ignore
    size = sum(parameter.numel() for parameter in classifier.network.parameters())
    for module in classifier.network.modules():
        if isinstance(module, LookupEncoder | StoredAdapters):
            for table in module.tables():
                old = table.data
                table.data = old[kept.to(old.device)].clone()
                for place, rows, shares in means:
                    members = old[rows.to(old.device)].double()
                    mean = torch.tensordot(shares.to(old.device), members, dims=1)
                    table.data[place] = mean.to(old.dtype)
    if CONDITION in conditions:
        conditions[CONDITION]["size"] = len(vocabulary)
    if people is not None and classifier.people is not None:
        values = _positions(classifier.people.attributes, people.attributes)
        _remove_values(classifier.network, values)
        conditions[ATTRIBUTES] = people.attributes.to_dict()
    classifier.vocabulary, classifier.people = vocabulary, people
    return size - sum(parameter.numel() for parameter in classifier.network.parameters())


def _mean(before: Vocabulary, shares: Shares) -> tuple[Tensor, Tensor]:
    """Rows and their shares."""
    rows = torch.from_numpy(before.indices(shares, strict=True))
    return rows, torch.tensor(list(shares.values()), dtype=torch.float64)


def _remove_values(network: nn.Module, positions: Tensor) -> None:
    for module in network.modules():
        if isinstance(module, AttributesEncoder):
            module.vectors.data = module.vectors.data[positions.to(module.vectors.device)].clone()


def _positions(before: Attributes, after: Attributes) -> Tensor:
    """Where the values of `after` stand in a table of those of `before`."""
    lines = [(n, v) for n in before.names for v in before.values[n]]  # pyright: ignore
    place = {line: position for position, line in enumerate(lines)}
    wanted = [place[n, v] for n in after.names for v in after.values[n]]  # pyright: ignore
    return torch.tensor(wanted, dtype=torch.long)
