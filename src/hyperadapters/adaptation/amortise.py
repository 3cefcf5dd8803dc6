"""Training of the set encoder, on people of training who are treated as if they were new.

In every step each person of a batch is a stranger (their own vector is not looked at), of whom a
random number k of labels is shown; what is minimised is the nll of their other labels, answered
through the frozen model with the vector that the encoder gives. One person in six is never trained
on, and the encoder that serves these best is kept.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hyperadapters.adaptation.amortised import SetEncoder, Told
from hyperadapters.adaptation.evidence import chosen_rows
from hyperadapters.adaptation.linear import moved
from hyperadapters.adaptation.logits import VectorLogits
from hyperadapters.adaptation.prior import Prior
from hyperadapters.methods import AnnotatorClassifier, Examples

MAX_NUMBERS = 2**25
"""Derivatives that are kept, in single precision."""

MOST_SHOWN = 32
"""Labels that are shown of a person, at most."""

HELD_OUT = 6
STEPS, PEOPLE_PER_STEP, LEARNING_RATE = 600, 32, 3e-3
STEPS_PER_LOOK = 60


@dataclass(frozen=True)
class Labelled:
    """Rows of people, filled up to the number of whoever has most.

    Attributes:
        logits: Those of a stranger.
        jacobian: Derivatives of all but the first relative to the first, by u.
        label: Index of the label.
        there: Whether there is such a row.
    """

    logits: Float[Tensor, "people rows labels"]
    jacobian: Float[Tensor, "people rows free width"]
    label: Int[Tensor, "people rows"]
    there: Float[Tensor, "people rows"]

    @classmethod
    def of(
        cls,
        logits: Float[Tensor, "n labels"],
        jacobian: Float[Tensor, "n free width"],
        label: Int[np.ndarray, " n"],
        person: Int[np.ndarray, " n"],
    ) -> "Labelled":
        """Rows of people 0 to m - 1, in any order."""
        order = np.argsort(person, kind="stable")
        counts = np.bincount(person)
        row = np.concatenate([np.arange(count) for count in counts])
        place = (torch.from_numpy(person[order]), torch.from_numpy(row))
        some = torch.from_numpy(order)
        shape = (len(counts), int(counts.max()))
        made = cls(
            torch.zeros(*shape, logits.shape[1]),
            torch.zeros(*shape, *jacobian.shape[1:]),
            torch.zeros(shape, dtype=torch.long),
            torch.zeros(shape),
        )
        made.logits[place] = logits[some].float()
        made.jacobian[place] = jacobian[some].float()
        made.label[place] = torch.from_numpy(label)[some]
        made.there[place] = 1.0
        return made

    def only(self, people: Int[Tensor, " n"]) -> "Labelled":
        """Those of some people."""
        return Labelled(*(part[people] for part in vars(self).values()))

    def told(self, shown: Float[Tensor, "people rows"]) -> Told:
        """What rows that are shown say."""
        return Told.of(self.logits, self.jacobian, self.label, shown)

    def nll(
        self, u: Float[Tensor, "people width"], asked: Float[Tensor, "people rows"]
    ) -> Float[Tensor, ""]:
        """Mean over people of the nll of the rows that are asked about, in nats."""
        n_people, n_rows = self.label.shape
        of_row = u.unsqueeze(1).expand(-1, n_rows, -1).flatten(0, 1)
        logits = moved(self.logits.flatten(0, 1), self.jacobian.flatten(0, 1), of_row)
        log_p = logits.log_softmax(dim=1).gather(1, self.label.flatten().unsqueeze(1))
        of_person = -(log_p.view(n_people, n_rows) * asked).sum(dim=1)
        return (of_person / asked.sum(dim=1).clamp(min=1)).mean()


def fit_set_encoder(
    classifier: AnnotatorClassifier, parts: list[Examples], prior: Prior, seed: int = 0
) -> SetEncoder | None:
    """A set encoder for the newcomers of a classifier.

    Args:
        classifier: A trained classifier; nothing in it is changed.
        parts: Rows of its people; those without a label are left out.
        prior: What is expected of people.
        seed: Of everything that is random; the generator of PyTorch is left as it was.

    Returns:
        The encoder; `None` where there are fewer than five people.
    """
    width, n_labels = len(prior.mean), len(classifier.labels)
    chosen = chosen_rows(parts, MAX_NUMBERS // (width * (n_labels - 1)), seed)
    if chosen is None:
        return None
    found, labels, annotators = [], [], []
    for part, rows in zip(parts, chosen, strict=True):
        if len(rows):
            at = prior.mean.expand(len(rows), -1)
            logits, jacobian = VectorLogits(classifier, part)(rows, at)
            found.append((logits, prior.through(jacobian)))
            labels.append(part.labels[rows])
            annotators.append(part.annotators[rows])
    _, person = np.unique(np.concatenate(annotators), return_inverse=True)
    logits, jacobian = (torch.cat(tensors) for tensors in zip(*found, strict=True))
    rows = Labelled.of(logits, jacobian, np.concatenate(labels), person)
    return trained_encoder(rows, seed)


def trained_encoder(rows: Labelled, seed: int = 0, steps: int = STEPS) -> SetEncoder:
    """The encoder that serves people best who are held out of its training.

    Args:
        rows: Labels of people.
        seed: Of everything that is random; the generator of PyTorch is left as it was.
        steps: Steps of training.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = SetEncoder(rows.jacobian.shape[3], rows.logits.shape[2])
        order = torch.randperm(len(rows.label))
        n_out = max(1, len(order) // HELD_OUT)
        outside, inside = rows.only(order[:n_out]), rows.only(order[n_out:])
        optimizer = torch.optim.AdamW(encoder.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps)
        looks = [_shown(outside.there) for _ in range(4)]
        best, kept = _on_average(encoder, outside, looks), _copied(encoder)
        for step in range(1, steps + 1):
            some = inside.only(torch.randint(len(inside.label), (PEOPLE_PER_STEP,)))
            shown = _shown(some.there)
            loss = some.nll(encoder(some.told(shown)), some.there - shown)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if step % STEPS_PER_LOOK == 0:
                nll = _on_average(encoder, outside, looks)
                if nll < best:
                    best, kept = nll, _copied(encoder)
        encoder.load_state_dict(kept)
    return encoder.eval()


def _shown(there: Float[Tensor, "people rows"]) -> Float[Tensor, "people rows"]:
    """Which rows are shown: of each person 1 to 32, small numbers as often as large ones.

    At least one row is left to be asked about, except of whoever has a single one.
    """
    most = (there.sum(dim=1) - 1).clamp(min=0, max=MOST_SHOWN)
    k = torch.exp(torch.rand(len(there)) * torch.log(most.clamp(min=1) + 0.99)).floor()
    order = (torch.rand(there.shape) - 2 * there).argsort(dim=1).argsort(dim=1)
    return (order < k.clamp(max=most).unsqueeze(1)).to(there.dtype) * there


@torch.no_grad()
def _on_average(encoder: SetEncoder, rows: Labelled, looks: list[Tensor]) -> float:
    of = [rows.nll(encoder(rows.told(shown)), rows.there - shown) for shown in looks]
    return float(torch.stack(of).mean())


def _copied(encoder: SetEncoder) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
