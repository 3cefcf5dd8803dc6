"""Single people taken out of a trained classifier: their rows of every table."""

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


@torch.no_grad()
def remove_rows(
    classifier: AnnotatorClassifier, vocabulary: Vocabulary, people: People | None
) -> int:
    """Keep the rows of some people, and of the values of attributes that these people have.

    The classifier is to be saved afterwards and loaded again: it does not predict itself.

    Args:
        classifier: The classifier, which is changed.
        vocabulary: Who stays.
        people: What is known of them, in attributes and values that are among those of before.

    Returns:
        How many parameters were removed.
    """
    kept = torch.from_numpy(classifier.vocabulary.indices(vocabulary.names, strict=True))
    conditions: dict[str, Any] = classifier.model.peft_config["default"].conditions  # pyright: ignore
    before = sum(parameter.numel() for parameter in classifier.network.parameters())
    for module in classifier.network.modules():
        if isinstance(module, LookupEncoder | StoredAdapters):
            for table in module.tables():
                table.data = table.data[kept.to(table.device)].clone()
    if CONDITION in conditions:
        conditions[CONDITION]["size"] = len(vocabulary)
    if people is not None and classifier.people is not None:
        values = _positions(classifier.people.attributes, people.attributes)
        _remove_values(classifier.network, values)
        conditions[ATTRIBUTES] = people.attributes.to_dict()
    classifier.vocabulary, classifier.people = vocabulary, people
    return before - sum(parameter.numel() for parameter in classifier.network.parameters())


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
