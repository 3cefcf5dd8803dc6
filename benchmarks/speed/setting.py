"""On what the cases are measured: device, sizes, and where the real data lies."""

from dataclasses import dataclass, field, replace
from pathlib import Path

ROBERTA = "roberta-base shape"
"""A RoBERTa of the size of roberta-base, with random weights."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        backbone: ``"minilm"``, a folder, or `ROBERTA`.
        rows: Rows of a batch, each of another annotator.
        tokens: Tokens of a row.
        annotators: Annotators that a model knows.
        pairs: Number of pairs.
        long_pairs: The same, of what takes minutes or processes.
        large_backbone: Backbone of the large batch on a GPU.
        large_rows: Its rows.
        people: Numbers of annotators to compare with the first of them.
        epoch_texts: Texts of an epoch; `None` is all.
        epochs: Epochs of a training of ours.
        texts: Texts on which everyone is asked.
        asked: How many that is; `None` is all of the data set.
        beam_rows: Inputs of beam search.
        written: Tokens read and written by beam search.
    """

    backbone: str = "minilm"
    rows: int = 32
    tokens: int = 64
    annotators: int = 262
    pairs: int = 11
    long_pairs: int = 3
    large_backbone: str = ROBERTA
    large_rows: int = 128
    people: tuple[int, ...] = (10**2, 10**3, 10**4, 10**5, 10**6)
    epoch_texts: int | None = 200
    epochs: int = 3
    texts: int = 200
    asked: int | None = None
    beam_rows: int = 8
    written: int = 64


FULL = Sizes()
QUICK = replace(
    FULL, pairs=5, long_pairs=1, people=(10**2, 10**6), epoch_texts=60, texts=20, beam_rows=4
)


@dataclass(frozen=True)
class Setting:
    """Everything that a case is told.

    Attributes:
        device: ``"cpu"`` or ``"cuda"``.
        sizes: How much.
        data: Folder of the real ratings.
        threads: Threads of PyTorch.
        beside: What else the machine did meanwhile, for the table; nothing by default.
    """

    device: str = "cpu"
    sizes: Sizes = field(default_factory=Sizes)
    data: Path = Path("../shared/data/perspectives")
    threads: int = 1
    beside: str = ""

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device == "cuda"


class NoDataError(Exception):
    """The real ratings that a case needs are not there."""
