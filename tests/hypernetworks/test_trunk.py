import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import gelu

from hyperadapters.encoders import zero_dims
from hyperadapters.hypernetworks.trunk import Trunk


def randomised(n_chunks: int = 0) -> Trunk:
    trunk = Trunk(3, 4, 5, 6, n_chunks).double()
    torch.manual_seed(0)
    for parameter in trunk.parameters():
        torch.nn.init.normal_(parameter)
    return trunk


def naive(trunk: Trunk, z: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    base = trunk.from_site.weight @ place + trunk.from_site.bias
    return gelu(trunk.from_condition.weight @ z + base) - gelu(base)


def test_against_the_formula():
    trunk, z = randomised(), torch.randn(3, 3).double()
    got = trunk(z)
    assert got.shape == (3, 4, 6)
    for i in range(3):
        for s in range(4):
            torch.testing.assert_close(got[i, s], naive(trunk, z[i], trunk.site_vectors[s]))


def test_chunks_have_vectors_that_are_added():
    trunk, z = randomised(n_chunks=3), torch.randn(2, 3).double()
    sites, chunks = [1, 1, 3], [0, 2, 2]
    got = trunk(z, sites, chunks)
    for unit, (site, chunk) in enumerate(zip(sites, chunks, strict=True)):
        place = trunk.site_vectors[site] + trunk.chunk_vectors[chunk]
        for i in range(2):
            torch.testing.assert_close(got[i, unit], naive(trunk, z[i], place))


@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(1, 9), n_sites=st.integers(1, 7), half=st.integers(1, 35), double=st.booleans()
)
def test_nobody_changes_no_unit(n, n_sites, half, double):
    trunk, z = Trunk(3, n_sites, 5, 2 * half), torch.randn(n + 1, 3)
    trunk.reset_parameters("lora", zero_dims(3))
    z[n // 2] = 0
    if double:
        trunk, z = trunk.double(), z.double()
    got = trunk(z)
    assert torch.equal(got[n // 2], torch.zeros_like(got[0]))
    assert got[n // 2 - 1].abs().max() > 0


@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(1, 9),
    n_sites=st.integers(1, 7),
    half=st.integers(1, 35),
    width=st.integers(2, 20),
    double=st.booleans(),
)
def test_the_halves_start_as_twins_to_the_last_bit(n, n_sites, half, width, double):
    trunk = Trunk(width, n_sites, 5, 2 * half)
    live = zero_dims(width)
    trunk.reset_parameters("zero-change", live)
    z = torch.randn(n, width) * ~live
    if double:
        trunk, z = trunk.double(), z.double()
    first, second = trunk(z).chunk(2, dim=-1)
    assert torch.equal(first, second)
    assert first.abs().max() > 0


def test_every_tensor_tells_the_twins_apart_after_a_step():
    torch.manual_seed(0)
    trunk, live = Trunk(4, 3, 4, 8, n_chunks=2), zero_dims(4)
    trunk.reset_parameters("zero-change", live)
    z = (torch.randn(5, 4) * ~live).requires_grad_()
    first, second = trunk(z, [0, 1, 2, 0], [0, 1, 0, 1]).chunk(2, dim=-1)
    ((first - second) * torch.randn_like(first)).sum().backward()
    for name, parameter in trunk.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    assert z.grad is not None and (z.grad[:, live] != 0).all()


@pytest.mark.parametrize("start", ["lora", "hyperfan-in"])
def test_the_other_starts_have_no_twins(start):
    torch.manual_seed(0)
    trunk = Trunk(4, 300, 20, 8)
    trunk.reset_parameters(start, zero_dims(4))
    first, second = trunk(torch.randn(2, 4)).chunk(2, dim=-1)
    assert (first != second).all()
    assert trunk.site_vectors.std().item() == pytest.approx(1.0, rel=0.05)
