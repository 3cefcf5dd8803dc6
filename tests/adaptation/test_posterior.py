import pytest
import torch

from hyperadapters.adaptation import Posterior
from hyperadapters.errors import RunError


def made(names, rank, seed=0):
    torch.manual_seed(seed)
    n = len(names)
    directions = torch.linalg.qr(torch.randn(n, 4, 4))[0][:, :rank]
    return Posterior(tuple(names), torch.rand(n, 4) + 0.5, torch.rand(n, rank), directions)


def test_people_come_and_go():
    old, new = made("ab", 1), made("cd", 3, seed=1)
    both = old.joined(new)
    assert both.names == ("a", "b", "c", "d")
    for place, (of, person) in enumerate([(old, 0), (old, 1), (new, 0), (new, 1)]):
        torch.testing.assert_close(both.covariance(place), of.covariance(person))
    assert both.without(["b", "x"]).names == ("a", "c", "d")
    picked = both.only(["d", "x", "a"])
    torch.testing.assert_close(picked.covariance(0), new.covariance(1))
    nobody = Posterior.nobody(4)
    assert nobody.joined(old).names == old.names and nobody.only(["a"]).names == ()


def test_files(tmp_path):
    posterior = made(["Zoë", "007"], 2)
    posterior.save(tmp_path / "p.safetensors")
    read = Posterior.load(tmp_path / "p.safetensors")
    assert read.names == posterior.names
    assert torch.equal(read.directions, posterior.directions)
    assert torch.equal(read.curvature, posterior.curvature)
    (tmp_path / "p.safetensors").write_text("no tensors")
    with pytest.raises(RunError, match="cannot be read"):
        Posterior.load(tmp_path / "p.safetensors")
