"""All weights that are generated for one call: those of every site, and what the head receives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from jaxtyping import Float, Int
from torch import Tensor

from hyperadapters.adapters.bottleneck import BottleneckWeights
from hyperadapters.adapters.head import HeadWeights
from hyperadapters.adapters.lora import LoRAWeights
from hyperadapters.adapters.placement import SiteWeights
from hyperadapters.adapters.rows import taken
from hyperadapters.errors import ConditionError


class Absent(Enum):
    """Why a group has no weights at the moment."""

    OFF = "works in another pass"
    PENDING = "is written when the encoder has read the input"


OFF, PENDING = Absent.OFF, Absent.PENDING


@dataclass(frozen=True)
class Unwritten:
    """Weights of one site that are written when the site is run, and not kept.

    Attributes:
        write: Writes them, the same whenever it is called.
    """

    write: Callable[[], SiteWeights]


@dataclass(frozen=True)
class GroupWeights:
    """Weights of the sites of one group, and which row has which.

    Generating once per *distinct* condition and indexing afterwards is what keeps a batch of many
    rows by few annotators cheap.

    Attributes:
        sites: Weights per site, in the order of the sites, with a leading axis of conditions, or
            of length 1 where they do not depend on them; or what will write them.
        rows: For every row of the batch the position of its condition, shape ``(rows,)``; `None`
            when the leading axis is that of the rows already.
    """

    sites: Sequence[SiteWeights | Unwritten]
    rows: Int[Tensor, " rows"] | None = None

    def at(self, site: int) -> SiteWeights:
        """The weights of one site, one set per row (or a single one for all rows)."""
        found = self.sites[site]
        weights = found.write() if isinstance(found, Unwritten) else found
        per_row = [None if tensor is None else taken(tensor, self.rows) for tensor in weights]
        if isinstance(weights, LoRAWeights):
            return LoRAWeights(*per_row)  # pyright: ignore[reportArgumentType]
        return BottleneckWeights(*per_row)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class AdapterWeights:
    """What one network generated for one call.

    Attributes:
        groups: Weights per group, in the order of the groups, or why there are none.
        head: What the classification head receives.
        head_rows: For every row the position of its condition in `head` and `token`; `None` as in
            a group.
        n_rows: Number of rows these weights were made for; `None` when they serve any number.
        token: Embeddings of the token that is put into the input, shape ``(n, width)``.
    """

    groups: Sequence[GroupWeights | Absent]
    head: HeadWeights = HeadWeights()  # noqa: RUF009 - a NamedTuple does not change
    head_rows: Int[Tensor, " rows"] | None = None
    n_rows: int | None = None
    token: Float[Tensor, "n width"] | None = None

    def at(self, group: int, site: int) -> SiteWeights | None:
        """The weights of one site of one group, one set per row (or a single one for all rows).

        Returns:
            `None` where the group is off.

        Raises:
            ConditionError: The weights are written only when the encoder has read the input.
        """
        of_group = self.groups[group]
        if isinstance(of_group, GroupWeights):
            return of_group.at(site)
        if of_group is PENDING:
            raise ConditionError(
                "these weights are written from what the encoder makes of the input, and in this "
                "call no encoder has run; call the whole model, or hand it encoder_outputs"
            )
        return None

    def is_unwritten(self, group: int, site: int) -> bool:
        """Whether the weights of a site are written only when it is run."""
        of_group = self.groups[group]
        return isinstance(of_group, GroupWeights) and isinstance(of_group.sites[site], Unwritten)

    def head_per_row(self) -> HeadWeights:
        """What the head receives, one line per row (or a single line for all rows)."""
        return self.head.mapped(lambda values: taken(values, self.head_rows))

    def token_per_row(self) -> Float[Tensor, "n width"] | None:
        """The embeddings of the token, one per row (or a single one for all rows)."""
        return None if self.token is None else taken(self.token, self.head_rows)
