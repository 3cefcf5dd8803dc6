r"""From the labels of a person to their vector in one pass: an amortised posterior mode.

A set encoder (Zaheer et al. 2017, https://arxiv.org/abs/1703.06114) reads pairs of a text and its
label. Of a text it is told what the frozen model makes of it for a stranger: the probabilities p,
and how they depend on the vector, J (in units of the prior); of the label y what it says about the
vector, the score g = J^T (e_y - p). With k labels

    u = k > 0 ? A s + MLP([s, mean of φ(g, p, y), log(1 + k)]) : 0,     s = Σ g / (κ + k)

so that the order of labels does not matter and no labels give the population. Nothing is solved;
Newton's steps may go on from there (see `newton`).
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hyperadapters.errors import RunError

HIDDEN = 64
FORMAT = "1"


@dataclass(frozen=True)
class Told:
    """What labels say, of several people; rows beyond somebody's k are zero.

    Attributes:
        score: g, in units of the prior.
        p: Probabilities of a stranger.
        label: Index of the label.
        given: 1 for rows that are there, 0 for others.
    """

    score: Float[Tensor, "people rows width"]
    p: Float[Tensor, "people rows labels"]
    label: Int[Tensor, "people rows"]
    given: Float[Tensor, "people rows"]

    @classmethod
    def of(
        cls,
        logits: Float[Tensor, "people rows labels"],
        jacobian: Float[Tensor, "people rows free width"],
        label: Int[Tensor, "people rows"],
        given: Float[Tensor, "people rows"],
    ) -> "Told":
        """From logits of a stranger, and their derivatives by u."""
        p = logits.softmax(dim=-1)
        error = nn.functional.one_hot(label, p.shape[-1]).to(p.dtype) - p
        score = torch.einsum("prf,prfw->prw", error[..., 1:], jacobian)
        return cls(score, p, label, given)


class SetEncoder(nn.Module):
    """Labels of people → their vectors, in units of the prior.

    Args:
        width: Width of a vector.
        n_labels: Number of labels.
        hidden: Width of the hidden layers.
    """

    def __init__(self, width: int, n_labels: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.width, self.n_labels = width, n_labels
        self.of_label = nn.Sequential(
            *(nn.Linear(width + 2 * n_labels, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        )
        self.direct = nn.Linear(width, width, bias=False)
        last = nn.Linear(hidden, width)
        self.further = nn.Sequential(nn.Linear(width + hidden + 1, hidden), nn.ReLU(), last)
        self.log_kappa = nn.Parameter(torch.tensor(1.0))
        # At the start a cautious step along the gradient, the same in all directions.
        nn.init.eye_(self.direct.weight)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, told: Told) -> Float[Tensor, "people width"]:
        """Vectors; of people without labels zero."""
        given = told.given.unsqueeze(2)
        k = told.given.sum(dim=1, keepdim=True)
        label = nn.functional.one_hot(told.label, self.n_labels).to(told.p.dtype)
        each = self.of_label(torch.cat([told.score, told.p, label], dim=2))
        mean = (each * given).sum(dim=1) / k.clamp(min=1)
        step = (told.score * given).sum(dim=1) / (self.log_kappa.exp() + k)
        more = self.further(torch.cat([step, mean, torch.log1p(k)], dim=1))
        return (self.direct(step) + more) * (k > 0)

    def save(self, path: Path) -> None:
        """Write it, as safetensors."""
        tensors = {name: t.detach().cpu().contiguous() for name, t in self.state_dict().items()}
        save_file(tensors, path, {"format": FORMAT})

    @classmethod
    def load(cls, path: Path, width: int, n_labels: int) -> "SetEncoder":
        """Inverse of `save`.

        Raises:
            RunError: The file is missing, damaged, of a later version, or of other vectors.
        """
        try:
            with safe_open(path, "pt") as file:
                written = (file.metadata() or {}).get("format")
                if written != FORMAT:
                    raise RunError(f"{path} has format {written}, wanted {FORMAT}")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            hidden = len(tensors["of_label.0.bias"])
            encoder = cls(width, n_labels, hidden)
            encoder.load_state_dict(tensors)
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise RunError(f"{path} cannot be read: {error}") from error
        return encoder.eval()
