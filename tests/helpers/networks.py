"""Small hypernetworks with numbers of all kinds in them, and what is seen of them."""

from dataclasses import replace

import torch

from hyperadapters.conditions import Lookup
from hyperadapters.hypernetworks import AdapterNetwork, GroupSpec, NetworkSpec, build_network

CPU = torch.device("cpu")


KINDS = ["mlp", "basis", "chunked", "two-tower"]


SPEC = NetworkSpec(
    conditions={"annotator_ids": Lookup(5)},
    condition_width=4,
    site_width=3,
    hidden_width=6,
    n_basis=4,
    chunk_width=4,
    taste_rank=2,
    head_width=6,
    n_labels=3,
)


def randomised(network: AdapterNetwork) -> AdapterNetwork:
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network.eval()


def built(places, group=None, **changes) -> AdapterNetwork:
    """A network of one group, with numbers of all kinds in it."""
    conditions = changes.get("conditions", SPEC.conditions)
    options = {"conditions": tuple(conditions), **(group or {})}
    return randomised(
        build_network(replace(SPEC, groups=[GroupSpec(places, **options)], **changes))
    )


def ids(*indices: int) -> dict[str, torch.Tensor]:
    return {"annotator_ids": torch.tensor(indices)}


def assert_row(together, row, alone, groups=1, sites=2) -> None:
    """A row of a batch is what it is alone."""
    for group in range(groups):
        for site in range(sites):
            pairs = zip(together.at(group, site), alone.at(group, site), strict=True)
            for many, one in pairs:
                assert (many is None) == (one is None)
                if many is not None:
                    torch.testing.assert_close(many[row if len(many) > 1 else 0], one[0])
    for many, one in zip(together.head_per_row()[:3], alone.head_per_row()[:3], strict=True):
        assert (many is None) == (one is None)
        if many is not None:
            torch.testing.assert_close(many[row], one[0])


def watch(network: AdapterNetwork) -> list[dict[str, list]]:
    """Which values each source is called with."""
    seen: list[dict[str, list]] = []
    for number, source in enumerate(network.sources):
        source.register_forward_pre_hook(
            lambda _, args, number=number: seen.append(
                {"source": number, "z": len(args[0]), **{n: v.tolist() for n, v in args[1].items()}}
            )
        )
    return seen


def vectors_of(network: AdapterNetwork, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the first source reads."""
    seen: list[torch.Tensor] = []
    hook = network.sources[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    network(values)
    hook.remove()
    return seen[0]
