r"""How sure the vectors of some people are: Gaussians by Laplace's approximation.

In units of the prior, z = μ + B (σ ⊙ u), the curvature of the negative log posterior at its minimum
is I + Ã^T Ã, where the rows of Ã say how the answers to a person's texts depend on u, weighted by
how undecided they are (Gauss-Newton, for which see Immer, Korzepa & Bauer 2021,
https://arxiv.org/abs/2008.08400). With the eigenvectors v_r and eigenvalues d_r of Ã^T Ã

    covariance of u = (I + Ã^T Ã)^-1 = I - Σ_r d_r / (1 + d_r) v_r v_r^T

so that a few labels need a few vectors, whatever the width. The `MAX_RANK` largest are kept;
without the others a posterior is a little too wide.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import pad

from hyperadapters.errors import RunError

MAX_RANK = 64
FORMATS = ("1", "2")
"""Of files without and with axes of the prior."""


@dataclass(frozen=True)
class Posterior:
    """Covariances of the vectors of some people; their means are the vectors themselves.

    Attributes:
        names: Whose they are.
        scale: σ of the prior, shape ``(people, width)``.
        curvature: d, zero where there is nothing, shape ``(people, rank)``.
        directions: v, shape ``(people, rank, width)``.
        basis: B of the prior, the same for all; `None` where it is the identity.
    """

    names: tuple[str, ...]
    scale: Float[Tensor, "people width"]
    curvature: Float[Tensor, "people rank"]
    directions: Float[Tensor, "people rank width"]
    basis: Float[Tensor, "width width"] | None = None

    @classmethod
    def nobody(cls, width: int) -> "Posterior":
        """That of no people."""
        return cls((), torch.zeros(0, width), torch.zeros(0, 0), torch.zeros(0, 0, width))

    def covariance(self, person: int) -> Float[Tensor, "width width"]:
        """The whole covariance of a person's vector."""
        d, v = self.curvature[person].double(), self.directions[person].double()
        inner = torch.eye(v.shape[1], dtype=d.dtype) - v.T @ ((d / (1 + d)).unsqueeze(1) * v)
        scale = self.scale[person].double()
        along = scale.unsqueeze(1) * inner * scale
        if self.basis is None:
            return along
        basis = self.basis.double()
        return basis @ along @ basis.T

    def only(self, names: Sequence[str]) -> "Posterior":
        """That of those of these people whom it knows."""
        place = {name: position for position, name in enumerate(self.names)}
        kept = [name for name in names if name in place]
        where = torch.tensor([place[name] for name in kept], dtype=torch.long)
        scale, curvature, directions = (
            part[where] for part in (self.scale, self.curvature, self.directions)
        )
        return Posterior(tuple(kept), scale, curvature, directions, self.basis)

    def without(self, names: Sequence[str]) -> "Posterior":
        """That of everybody else."""
        gone = set(names)
        return self.only([name for name in self.names if name not in gone])

    def joined(self, other: "Posterior") -> "Posterior":
        """That of these people and others, none of whom is here.

        Raises:
            RunError: They were found with priors along different axes.
        """
        basis = self.basis if self.names else other.basis
        if self.names and other.names and not _same(self.basis, other.basis):
            raise RunError("people who were found with different priors cannot be in one posterior")
        rank = max(self.curvature.shape[1], other.curvature.shape[1])
        both = [_of_rank(posterior, rank) for posterior in (self, other)]
        return Posterior(
            (*self.names, *other.names),
            torch.cat([self.scale, other.scale]),
            torch.cat([curvature for curvature, _ in both]),
            torch.cat([directions for _, directions in both]),
            basis,
        )

    def merged(self, names: Sequence[str], to: str) -> "Posterior":
        """That of others, and of one person in the place of several: what each was found from adds.

        Args:
            names: Whom it knows, and who are one.
            to: The name of the one.
        """
        members = self.only(names)
        roots = members.curvature.double().sqrt().unsqueeze(2) * members.directions.double()
        _, root, directions = torch.linalg.svd(roots.flatten(0, 1), full_matrices=False)
        rank = min(MAX_RANK, int((root > 0).sum()))
        one = Posterior(
            (to,),
            members.scale[:1],
            root[:rank].square().unsqueeze(0).to(members.curvature.dtype),
            directions[:rank].unsqueeze(0).to(members.directions.dtype),
            members.basis,
        )
        return self.without(names).joined(one)

    def save(self, path: Path) -> None:
        """Write it, as safetensors."""
        tensors = {
            "scale": self.scale.float(),
            "curvature": self.curvature.float(),
            "directions": self.directions.float(),
        }
        if self.basis is not None:
            tensors["basis"] = self.basis.float()
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        # Versions that know of no axes cannot read what is along some.
        written = FORMATS[self.basis is not None]
        save_file(tensors, path, {"format": written, "names": json.dumps(self.names)})

    @classmethod
    def load(cls, path: Path) -> "Posterior":
        """Inverse of `save`.

        Raises:
            RunError: The file is damaged, or was written by a later version.
        """
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                if about["format"] not in FORMATS:
                    wanted = " or ".join(FORMATS)
                    raise RunError(f"{path} has format {about['format']}, wanted {wanted}")
                names = tuple(json.loads(about["names"]))
                parts = [file.get_tensor(n) for n in ("scale", "curvature", "directions")]
                basis = file.get_tensor("basis") if about["format"] == FORMATS[True] else None
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise RunError(f"{path} cannot be read: {error}") from error
        if any(len(part) != len(names) for part in parts):
            raise RunError(f"{path} is damaged: it names {len(names)} people and is of others")
        scale, curvature, directions = parts
        return cls(names, scale, curvature, directions, basis)


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.equal(one.float(), other.float())


def _of_rank(posterior: Posterior, rank: int) -> tuple[Tensor, Tensor]:
    more = rank - posterior.curvature.shape[1]
    return pad(posterior.curvature, (0, more)), pad(posterior.directions, (0, 0, 0, more))
