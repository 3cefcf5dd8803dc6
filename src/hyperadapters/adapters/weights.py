"""All weights that are generated for one call: a LoRA per site, and what the head receives."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hyperadapters.adapters.lora import LoRAWeights


@dataclass(frozen=True)
class AdapterWeights:
    """Generated weights of `n_distinct` different conditions, and which row has which.

    Generating once per *distinct* condition and indexing afterwards is what keeps a batch of many
    rows by few annotators cheap.

    Attributes:
        lora: One pair of factors per site, in the order of the sites; leading axis `n_distinct`.
        shift: Added to the input of the classification head, shape ``(n_distinct, in_width)``.
        bias: Added to the logits, shape ``(n_distinct, n_labels)``.
        rows: For every row of the batch the position of its condition, shape ``(rows,)``; `None`
            when one set of weights serves all rows.
    """

    lora: Sequence[LoRAWeights]
    shift: Float[Tensor, "n_distinct in_width"] | None = None
    bias: Float[Tensor, "n_distinct n_labels"] | None = None
    rows: Int[Tensor, " rows"] | None = None

    @property
    def n_rows(self) -> int | None:
        """Number of rows these weights were made for; `None` when they serve any number."""
        return None if self.rows is None else int(self.rows.shape[0])

    def lora_at(self, site: int) -> LoRAWeights:
        """The factors of one site, one pair per row (or a single pair for all rows)."""
        a, b = self.lora[site]
        return LoRAWeights(self._expanded(a), self._expanded(b))

    def _expanded(self, factor: Tensor) -> Tensor:
        # A factor that does not depend on the condition serves all rows uncopied.
        if self.rows is None or factor.shape[0] == 1:
            return factor
        return factor.index_select(0, self.rows)

    def per_row(self, values: Float[Tensor, "n_distinct width"]) -> Float[Tensor, "rows width"]:
        """`shift` or `bias`, one line per row (or a single line for all rows)."""
        return self._expanded(values)


def add_per_row(
    x: Float[Tensor, "rows *positions width"], values: Float[Tensor, "n width"]
) -> Float[Tensor, "rows *positions width"]:
    """`x` plus one vector per row, the same at every position; n divides the number of rows."""
    n = values.shape[0]
    if n == 1:
        return x + values[0].to(x.dtype)
    grouped = x.reshape(n, -1, x.shape[-1]) + values.to(x.dtype).unsqueeze(1)
    return torch.reshape(grouped, x.shape)
