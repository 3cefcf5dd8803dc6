"""What AART asks of annotators' vectors: to be short, and alike where people agree.

Mokhberian et al. 2024, https://arxiv.org/abs/2311.09743, as in their released code: with e_a the
vector of annotator a, over pairs of ratings of one text in a batch,

    contrast = mean of (1 - cos(e_a, e_b))⁺ over pairs with one label
             + mean of cos(e_a, e_b)⁺       over pairs with two labels

each mean over the pairs whose term is not zero, and ``norm`` the mean of |e_a|. Their loss is
(1 - λ - α) CE + λ norm + α contrast with λ = α = 0.1; here CE has weight 1, so that both weights
are 0.125. Their norm is over all annotators, ours over those of the batch, which is the same in
expectation.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hyperadapters.encoders import LookupEncoder
from hyperadapters.hypernetworks import AdapterNetwork


class Contrast:
    """Both terms for one network.

    Args:
        network: The network whose vectors are looked at.
        contrast: Weight of the contrast; 0 leaves it out.
        norm: Weight of the norm; 0 leaves it out.
    """

    def __init__(self, network: AdapterNetwork, contrast: float, norm: float) -> None:
        encoders = network.encoders.values()
        self._tables = [table for table in encoders if isinstance(table, LookupEncoder)]
        self._contrast, self._norm = contrast, norm

    def __call__(
        self,
        annotators: Int[Tensor, " rows"],
        labels: Int[Tensor, " rows"],
        text_of_row: Int[Tensor, " rows"],
    ) -> Tensor | float:
        """The weighted terms of a batch.

        Args:
            annotators: Index of the annotator of every row.
            labels: Index of its label.
            text_of_row: Number of its text.
        """
        if not (self._contrast or self._norm):
            return 0.0
        total: Tensor | float = 0.0
        for table in self._tables:
            if self._norm:
                everyone = table.rows(annotators.unique())
                total = total + self._norm * everyone.norm(dim=1).mean()
            if self._contrast:
                vectors = table.rows(annotators)
                total = total + self._contrast * contrast(vectors, labels, text_of_row)
        return total


def contrast(
    vectors: Float[Tensor, "rows width"],
    labels: Int[Tensor, " rows"],
    text_of_row: Int[Tensor, " rows"],
) -> Float[Tensor, ""]:
    """The contrast of the module's formula; 0 where no pair counts.

    Args:
        vectors: Vector of the annotator of every row.
        labels: Label of every row.
        text_of_row: Text of every row.
    """
    unit = torch.nn.functional.normalize(vectors, dim=1)
    cosine = unit @ unit.T
    upper = torch.ones_like(cosine, dtype=torch.bool).triu(diagonal=1)
    together = upper & (text_of_row[:, None] == text_of_row)
    agree = labels[:, None] == labels
    return _mean_of_positive((1 - cosine)[together & agree].relu()) + _mean_of_positive(
        cosine[together & ~agree].relu()
    )


def _mean_of_positive(terms: Float[Tensor, " pairs"]) -> Float[Tensor, ""]:
    return terms.sum() / (terms > 0).sum().clamp(min=1)
