"""Priors along axes of their own, and their files."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from hyperadapters.adaptation.posterior import Posterior
from hyperadapters.adaptation.prior import Prior
from hyperadapters.errors import RunError

WIDTH = 4


def full(seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    root = torch.randn(WIDTH, WIDTH, **draw)
    return Prior.full(torch.randn(WIDTH, **draw), root @ root.T + 0.1 * torch.eye(WIDTH))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.booleans())
def test_units_of_the_prior(seed, along_axes):
    of = full(seed)
    of = of if along_axes else Prior(of.mean, of.scale)
    u = torch.randn(5, WIDTH, dtype=torch.float64)
    z = of.vectors(u)
    torch.testing.assert_close((z - of.mean) @ of.precision_root.T, u)
    torch.testing.assert_close(of.of_units(torch.eye(WIDTH).double()), of.covariance)
    inverse = of.precision_root.T @ of.precision_root
    torch.testing.assert_close(inverse, of.covariance.inverse(), rtol=1e-6, atol=1e-8)
    # What a logit with the derivatives J gains from u.
    jacobian = torch.randn(5, 2, WIDTH, dtype=torch.float64)
    gain = torch.einsum("nfw,nw->nf", jacobian, z - of.mean)
    torch.testing.assert_close(torch.einsum("nfw,nw->nf", of.through(jacobian), u), gain)


def test_its_covariance_is_that_which_was_given():
    wanted = torch.tensor([[2.0, 0.5], [0.5, 1.0]]).double()
    torch.testing.assert_close(Prior.full(torch.zeros(2).double(), wanted).covariance, wanted)
    flat = Prior.full(torch.zeros(2).double(), torch.tensor([[1.0, 0.0], [0.0, 0.0]]).double())
    assert 0 < float(flat.scale.min()) < 0.01


@pytest.mark.parametrize("along_axes", [True, False])
def test_it_is_read_as_it_was_written(tmp_path, along_axes):
    of = full()
    of = of if along_axes else Prior(of.mean, of.scale)
    of.save(tmp_path / "prior.safetensors")
    again = Prior.load(tmp_path / "prior.safetensors", of.mean)
    assert again.mean.equal(of.mean) and again.scale.equal(of.scale)
    assert again.basis is of.basis is None or again.basis.equal(of.basis)
    # What is made of them depends on how they lie in memory, in the last bit.
    torch.testing.assert_close(again.covariance, of.covariance, atol=1e-12, rtol=1e-12)


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "prior.safetensors"
    with pytest.raises(RunError, match="cannot be read"):
        Prior.load(path, torch.zeros(2))
    path.write_bytes(b"no")
    with pytest.raises(RunError, match="cannot be read"):
        Prior.load(path, torch.zeros(2))
    save_file({"scale": torch.ones(2)}, path, {"format": "9"})
    with pytest.raises(RunError, match="format 9"):
        Prior.load(path, torch.zeros(2))
    full().save(path)
    with pytest.raises(RunError, match="not of vectors of 2 numbers"):
        Prior.load(path, torch.zeros(2))


def posterior(basis, name="a"):
    generator = torch.Generator().manual_seed(1)
    return Posterior(
        *((name,), torch.rand(1, WIDTH, generator=generator) + 0.5),
        torch.tensor([[2.0]]),
        torch.nn.functional.normalize(torch.ones(1, 1, WIDTH), dim=2),
        basis,
    )


def test_a_posterior_along_axes(tmp_path):
    basis = full().basis
    of = posterior(basis)
    plain = posterior(None).covariance(0)
    torch.testing.assert_close(of.covariance(0), basis @ plain @ basis.T)
    of.save(tmp_path / "p.safetensors")
    again = Posterior.load(tmp_path / "p.safetensors")
    torch.testing.assert_close(again.covariance(0), of.covariance(0), rtol=1e-5, atol=1e-6)
    both = Posterior.nobody(WIDTH).joined(of).joined(posterior(basis.clone(), "b"))
    assert both.names == ("a", "b") and both.basis.equal(basis)
    assert both.merged(["a", "b"], "c").basis.equal(basis)
    with pytest.raises(RunError, match="different priors"):
        of.joined(posterior(None, "b"))
