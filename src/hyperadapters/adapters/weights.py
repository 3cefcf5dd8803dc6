"""All weights that are generated for one call: a LoRA per site, and what the head receives."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from hyperadapters.adapters.head import HeadWeights
from hyperadapters.adapters.lora import LoRAWeights


@dataclass(frozen=True)
class AdapterWeights:
    """Generated weights of `n_distinct` different conditions, and which row has which.

    Generating once per *distinct* condition and indexing afterwards is what keeps a batch of many
    rows by few annotators cheap.

    Attributes:
        lora: One pair of factors per site, in the order of the sites; leading axis `n_distinct`.
        head: What the classification head receives; leading axis `n_distinct`.
        rows: For every row of the batch the position of its condition, shape ``(rows,)``; `None`
            when one set of weights serves all rows.
    """

    lora: Sequence[LoRAWeights]
    head: HeadWeights = HeadWeights()  # noqa: RUF009 - a NamedTuple does not change
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

    def head_per_row(self) -> HeadWeights:
        """What the head receives, one line per row (or a single line for all rows)."""
        shift, bias, gate, taste_in, taste_out = self.head
        return HeadWeights(
            shift=None if shift is None else self._expanded(shift),
            bias=None if bias is None else self._expanded(bias),
            gate=None if gate is None else self._expanded(gate),
            taste_in=taste_in,
            taste_out=taste_out,
        )
