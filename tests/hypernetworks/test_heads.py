import math

import pytest
import torch

from hyperadapters.adapters import Bottleneck, LoRA, Placement
from hyperadapters.hypernetworks.heads import BasisHeads, ChunkedHeads, build_heads, targets_of
from hyperadapters.hypernetworks.trunk import Trunk
from hyperadapters.sites import Site

KINDS = ["mlp", "basis", "chunked"]
HIDDEN = 6
MIXED = [
    Placement(Site("0.query", 6, 6), LoRA(2, 1.0)),
    Placement(Site("0.value", 6, 11), LoRA(2, 1.0)),
    Placement(Site("1.query", 9, 6), LoRA(3, 1.0)),
    Placement(Site("1.mlp", 6, 6), Bottleneck(5)),
    Placement(Site("2.query", 6, 6), LoRA(2, 1.0)),
]


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def built(kind, places=MIXED, names=None, chunk_width=4, n_basis=3):
    """Heads and a trunk, with numbers of all kinds in them."""
    heads = build_heads(
        kind, targets_of(places, names), HIDDEN, n_basis=n_basis, chunk_width=chunk_width
    )
    n_chunks = heads.n_chunks if isinstance(heads, ChunkedHeads) else 0
    trunk = Trunk(3, len(places), 5, HIDDEN, n_chunks)
    torch.manual_seed(0)
    for parameter in (*heads.parameters(), *trunk.parameters()):
        torch.nn.init.normal_(parameter)
    return heads.double(), trunk.double()


@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_of_every_site_is_generated(kind):
    heads, trunk = built(kind)
    generated = heads.generate(trunk, torch.randn(4, 3).double(), 1.0)
    assert len(generated) == len(MIXED)
    for place, tensors in zip(MIXED, generated, strict=True):
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        assert shapes == {name: (4, *shape) for name, shape in place.shapes.items()}
        for tensor in tensors.values():
            assert not torch.equal(tensor[0], tensor[1])


@pytest.mark.parametrize("kind", KINDS)
def test_some_tensors_alone(kind):
    heads, trunk = built(kind, names=["b", "up"])
    generated = heads.generate(trunk, torch.randn(4, 3).double(), 1.0)
    assert [sorted(tensors) for tensors in generated] == [["b"], ["b"], ["b"], ["up"], ["b"]]


@pytest.mark.parametrize("kind", KINDS)
def test_sites_of_one_shape_share_a_head_and_yet_differ(kind):
    heads, trunk = built(kind)
    generated = heads.generate(trunk, torch.randn(4, 3).double(), 1.0)
    assert not torch.equal(generated[0]["b"], generated[4]["b"])
    if kind != "chunked":
        modules = heads.maps if kind == "mlp" else heads.coefficients
        assert sorted(modules) == [
            *("a_2x6", "a_3x9", "b_11x2", "b_6x2", "b_6x3"),
            *("down_5x6", "down_bias_5", "up_6x5", "up_bias_6"),
        ]


def test_mlp_against_the_formula():
    heads, trunk = built("mlp")
    z = torch.randn(4, 3).double()
    hidden = trunk(z)
    for s, tensors in enumerate(heads.generate(trunk, z, 0.5)):
        for name, tensor in tensors.items():
            shape = MIXED[s].shapes[name]
            weight = heads.maps[f"{name}_{'x'.join(map(str, shape))}"].weight
            for i in range(4):
                wanted = 0.5 * (weight @ hidden[i, s]).reshape(shape)
                torch.testing.assert_close(tensor[i], wanted)


def test_basis_against_the_formula():
    heads, trunk = built("basis")
    z = torch.randn(4, 3).double()
    hidden = trunk(z)
    for s, tensors in enumerate(heads.generate(trunk, z, 0.5)):
        for name, tensor in tensors.items():
            key = f"{name}_{'x'.join(map(str, MIXED[s].shapes[name]))}"
            for i in range(4):
                coefficients = heads.coefficients[key].weight @ hidden[i, s]
                parts = zip(coefficients, heads.basis[key], strict=True)
                torch.testing.assert_close(tensor[i], 0.5 * sum(c * basis for c, basis in parts))


@pytest.mark.parametrize("chunk_width", [1, 4, 5, 100])
def test_chunked_against_a_loop_over_chunks(chunk_width):
    heads, trunk = built("chunked", chunk_width=chunk_width)
    z = torch.randn(2, 3).double()
    numbers: dict[tuple[str, int], int] = {}
    for place in MIXED:
        for name, shape in place.shapes.items():
            for position in range(math.ceil(max(shape) / chunk_width)):
                numbers.setdefault((name, position), len(numbers))
    assert heads.n_chunks == len(numbers)
    for s, tensors in enumerate(heads.generate(trunk, z, 0.5)):
        for name, tensor in tensors.items():
            shape = MIXED[s].shapes[name]
            axis = shape.index(max(shape))
            length = min(chunk_width, max(shape))
            chunk = [length if a == axis else size for a, size in enumerate(shape)]
            weight = heads.maps[f"{name}_{'x'.join(map(str, chunk))}"].weight
            for i in range(2):
                pieces = []
                for position in range(math.ceil(max(shape) / chunk_width)):
                    unit = trunk(z[i : i + 1], [s], [numbers[name, position]])[0, 0]
                    pieces.append(0.5 * (weight @ unit).reshape(chunk))
                whole = torch.cat(pieces, dim=axis)
                wanted = whole[: shape[0]] if axis == 0 else whole[:, : shape[1]]
                torch.testing.assert_close(tensor[i], wanted)


def sizes_of_chunked(width: int, chunk_width: int) -> tuple[int, int]:
    places = [Placement(Site(f"{n}.query", width, width), LoRA(4, 1.0)) for n in range(2)]
    with torch.device("meta"):
        heads = ChunkedHeads(targets_of(places, None), HIDDEN, chunk_width)
        trunk = Trunk(3, len(places), 5, HIDDEN, heads.n_chunks)
    return count(heads), count(trunk)


def test_chunked_heads_do_not_grow_with_the_backbone():
    (small, small_trunk), (large, large_trunk) = (sizes_of_chunked(w, 256) for w in (768, 4096))
    # One map to a chunk of A and one to a chunk of B: hidden · (r · chunk_width) each.
    assert small == large == 2 * HIDDEN * 4 * 256
    # For each chunk of either a vector of site_width: 2 · ⌈width / chunk_width⌉ of them.
    assert small_trunk - large_trunk == 2 * (768 // 256 - 4096 // 256) * 5


def test_sizes_of_the_other_kinds():
    place = [Placement(Site("0.query", 50, 70), LoRA(4, 1.0))] * 3
    values = 4 * 50 + 4 * 70
    assert count(build_heads("mlp", targets_of(place, None), HIDDEN)) == HIDDEN * values
    # Coefficients of A and of B, and their basis tensors.
    basis = build_heads("basis", targets_of(place, None), HIDDEN, n_basis=7)
    assert count(basis) == 2 * HIDDEN * 7 + 7 * values


@pytest.mark.parametrize("kind", KINDS)
def test_zero_heads_belong_to_the_start_of_lora(kind):
    heads, trunk = built(kind)
    z = torch.randn(4, 3).double()

    def largest() -> float:
        generated = heads.generate(trunk, z, 1.0)
        return max(tensor.abs().max().item() for site in generated for tensor in site.values())

    heads.reset_parameters("lora", zero=True)
    assert largest() == 0
    heads.reset_parameters("lora", zero=False)
    assert largest() > 0
    heads.reset_parameters("hyperfan-in", zero=True)
    assert largest() > 0


@pytest.mark.parametrize("kind", ["mlp", "chunked"])
def test_linear_heads_write_entries_as_large_as_those_of_lora(kind):
    heads = build_heads(kind, targets_of(MIXED[:1], None), 400, chunk_width=100)
    torch.manual_seed(0)
    heads.reset_parameters("lora", zero=False)
    # 1/√in_width for hidden units of size 1.
    assert heads.maps["a_2x6"].weight.std().item() == pytest.approx(1 / math.sqrt(6 * 400), rel=0.1)


def test_basis_starts_half_and_half():
    heads = BasisHeads(targets_of(MIXED[:1], None), HIDDEN, 5)
    heads.reset_parameters("zero-change", zero=False)
    assert heads.basis["a_2x6"][:2].abs().max() == 0
    assert heads.basis["a_2x6"][2:].abs().min() > 0
    first, second = heads.coefficients["a_2x6"].weight.chunk(2, dim=1)
    assert torch.equal(first[2:], -second[2:])
    assert (first[:2] != -second[:2]).all()
