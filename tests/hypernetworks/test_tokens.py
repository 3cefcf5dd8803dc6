import pytest
import torch
from torch import nn

from hyperadapters.hypernetworks import StoredTokens


@pytest.fixture
def tokens():
    torch.manual_seed(0)
    stored = StoredTokens({"people": 4, "tasks": 3}, 5)
    for parameter in stored.parameters():
        nn.init.normal_(parameter)
    return stored


def test_all_start_alike():
    stored = StoredTokens({"people": 4}, 5)
    assert torch.equal(stored({"people": torch.tensor([2, -1])}), torch.zeros(2, 5))
    assert sum(p.numel() for p in stored.parameters()) == (4 + 1) * 5


def test_the_populations_and_what_is_stored(tokens):
    people, tasks = tokens.deviations.people.vectors, tokens.deviations.tasks.vectors
    got = tokens({"people": torch.tensor([3, -1, -1]), "tasks": torch.tensor([0, 2, -1])})
    wanted = [people[3] + tasks[0], tasks[2], torch.zeros(5)]
    torch.testing.assert_close(got, tokens.population + torch.stack(wanted))


def test_mixtures(tokens):
    shares = torch.tensor([[0.5, 0.0, 0.5, 0.0]])
    got = tokens({"people": shares, "tasks": torch.tensor([-1])})
    wanted = tokens.population + shares @ tokens.deviations.people.vectors
    torch.testing.assert_close(got, wanted)
