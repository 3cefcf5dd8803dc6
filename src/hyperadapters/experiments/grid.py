"""What comparisons of any kind have in common: their folder, and the names of a grid."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hyperadapters.errors import ConfigError, HyperAdaptersError
from hyperadapters.training import Progress

Plan = TypeVar("Plan")

ERROR = "error.txt"
"""Name of the file in which a cell that failed tells all about it."""


@dataclass(frozen=True)
class CompareFolder:
    """What the folder of a comparison holds: a run folder for every cell, and these files.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def record(self) -> Path:
        """What is compared, settings, command, and what became of every cell."""
        return self.path / "compare.json"

    @property
    def scores(self) -> Path:
        """SCORES of all cells."""
        return self.path / "scores.json"

    @property
    def table(self) -> Path:
        """The table in Markdown."""
        return self.path / "table.md"

    @property
    def page(self) -> Path:
        """The table in HTML."""
        return self.path / "table.html"

    @property
    def differences(self) -> Path:
        """Paired differences between methods."""
        return self.path / "differences.json"

    @property
    def people(self) -> Path:
        """Whom each method helps and hurts."""
        return self.path / "helped_and_hurt.json"

    def cell(self, name: str, seed: int) -> Path:
        """The run folder of a cell."""
        return self.path / cell_name(name, seed)

    @property
    def cells(self) -> list[tuple[str, int]]:
        """Method (or recipe) and seed of every run folder, by seed, then by name."""
        found = [(path.parent.name, path.name) for path in self.path.glob("*/seed-*")]
        seeds = [(name, seed.removeprefix("seed-")) for name, seed in found]
        cells = [(name, int(seed)) for name, seed in seeds if seed.isdecimal()]
        return sorted(cells, key=lambda cell: cell[::-1])


def cell_name(name: str, seed: int) -> str:
    """What a cell is called, and its folder below that of the comparison."""
    return f"{name}/seed-{seed}"


def check_grid(**axes: Sequence[Any]) -> None:
    """Refuse a grid without cells, or with one twice.

    Args:
        **axes: What a value is → the values.

    Raises:
        ConfigError: There are none, or a value is named twice.
    """
    for what, given in axes.items():
        if not given:
            raise ConfigError(f"name at least one {what}")
        if twice := [value for value in dict.fromkeys(given) if list(given).count(value) > 1]:
            raise ConfigError(f"{what} {twice[0]} is named twice")


def kept_cells(
    folder: CompareFolder,
    asked: Collection[str],
    order: Sequence[str],
    finished: Callable[[str, int], Plan | None],
    progress: Progress,
) -> Iterator[Plan]:
    """Cells of a folder that are not asked for again, and stay in scores and tables.

    Args:
        folder: The folder of the comparison.
        asked: Names of the cells that are asked for.
        order: Methods or recipes in the order of the tables so far.
        finished: Method or recipe and seed → the plan of the cell if it is finished, or nothing;
            raises where it was made in another way.
        progress: Is told which are left out, and why.
    """
    places = {name: place for place, name in enumerate(order)}
    for name, seed in sorted(folder.cells, key=lambda cell: places.get(cell[0], len(places))):
        cell = cell_name(name, seed)
        if cell in asked:
            continue
        try:
            plan = finished(name, seed)
        except HyperAdaptersError as error:  # with these settings it is another run, or none
            progress.message(f"{cell} is left out: {error}")
            continue
        if plan is not None:
            yield plan
