"""People of a run under another name, and several ids of a run made one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hyperadapters.adaptation import Posterior
from hyperadapters.baselines import GlobalMode
from hyperadapters.conditions import Vocabulary
from hyperadapters.data.people import People
from hyperadapters.errors import ConfigError
from hyperadapters.experiments.remade import Counts, write_changed
from hyperadapters.inference import ALL, POPULATION, ROWS
from hyperadapters.methods.removal import Shares
from hyperadapters.tables.frames import column_of, rows_of

if TYPE_CHECKING:
    from hyperadapters.experiments.run import Run


def rename_person(run: "Run", annotator: str, to: str, output: Path) -> Path:
    """See `Run.rename`; `run` must be opened anew, for its fitted method is changed."""
    return write_changed(run, _Change(run, [annotator], to), output)


def merge_people(run: "Run", annotators: Sequence[str], to: str, output: Path) -> Path:
    """See `Run.merge`; `run` must be opened anew, for its fitted method is changed."""
    names = list(dict.fromkeys([annotators] if isinstance(annotators, str) else annotators))
    if len(names) < 2:
        raise ConfigError("name at least two people who are to be one")
    return write_changed(run, _Change(run, names, to), output)


def shares_of(run: "Run", names: Sequence[str]) -> dict[str, float] | None:
    """The share of each of some people in their ratings; `None` where numbers are not known.

    Runs of before the numbers were kept have none of those who were trained on.

    Raises:
        ConditionError: Somebody is unknown to the run.
    """
    counts = _counts(run, names)
    if counts is None:
        return None
    return {name: counts[name] / sum(counts.values()) for name in names}


def _counts(run: "Run", names: Sequence[str]) -> dict[str, int] | None:
    known = run.vocabulary.n_ratings
    places = run.vocabulary.indices(names, strict=True).tolist()
    counts = {}
    for name, place in zip(names, places, strict=True):
        if name in run.record.adapted:
            counts[name] = int(run.record.adapted[name]["labels"])
        elif known is not None:
            counts[name] = known[place]
        else:
            return None
    return counts


@dataclass(frozen=True)
class _Change:
    """Some people who become one, or one who gets another name.

    Attributes:
        run: The run.
        names: Their ids.
        to: The id that they get.
    """

    run: "Run"
    names: Sequence[str]
    to: str

    def __post_init__(self) -> None:
        self.run.vocabulary.indices(self.names, strict=True)
        if not self.to.strip() or self.to in (ALL, POPULATION, ROWS):
            raise ConfigError(f"{self.to!r} cannot be the id of a person")
        if self.is_rename and self.to == self.names[0]:
            raise ConfigError(f"{self.to} has that name already")
        if self.to in self.run.vocabulary and self.to not in self.names:
            raise ConfigError(f"the run knows {self.to} already; merge makes several ids one")

    @property
    def what(self) -> str:
        """What is done to them."""
        return "renamed" if self.is_rename else "merged"

    @property
    def when_nothing_is_left(self) -> str:
        """What is said where no prediction would be left."""
        return "nobody else was in dev or test"

    @property
    def is_rename(self) -> bool:
        """Whether it is about one person."""
        return len(self.names) == 1

    @property
    def gone(self) -> list[str]:
        """Ids that nothing may be left of."""
        return [name for name in self.names if name != self.to]

    @property
    def vocabulary(self) -> Vocabulary:
        """The new vocabulary: the one in the place of the first."""
        before = self.run.vocabulary
        kept = before.only(self.taken)
        names = tuple(self.to if name == self.names[0] else name for name in kept.names)
        if kept.n_ratings is None:
            return Vocabulary(names)
        counts = dict(zip(names, kept.n_ratings, strict=True))
        counts[self.to] = sum((_counts(self.run, self.names) or {}).values())
        return Vocabulary(names, tuple(counts[name] for name in names))

    @property
    def taken(self) -> list[str]:
        """Old name of everybody in the new vocabulary; of the one that of the first."""
        others = set(self.names[1:])
        return [name for name in self.run.vocabulary.names if name not in others]

    @property
    def merged(self) -> Mapping[str, Shares]:
        """What the row of the one is the mean of."""
        if self.is_rename:
            return {}
        equal = dict.fromkeys(self.names, 1 / len(self.names))
        return {self.to: shares_of(self.run, self.names) or equal}

    def people(self, before: People) -> People:
        """What is known of everybody.

        Raises:
            ConfigError: They have different values of an attribute.
        """
        nothing = ("",) * len(before.names)
        told = [before.values.get(name, nothing) for name in self.names]
        one = []
        for name, values in zip(before.names, zip(*told, strict=True), strict=True):
            different = sorted(set(values) - {""})
            if len(different) > 1:
                raise ConfigError(
                    f"they have different values of {name!r} ({', '.join(different)}), so they "
                    "cannot be one person"
                )
            one.append(different[0] if different else "")
        rest = {name: row for name, row in before.values.items() if name not in self.names}
        return People(before.attributes, {**rest, self.to: tuple(one)})

    def adapted(self) -> dict[str, Any]:
        """What `run.json` says of people who came after training."""
        before = self.run.record.adapted
        rest = {name: told for name, told in before.items() if name not in self.names}
        members = [before[name] for name in self.names if name in before]
        if len(members) < len(self.names):  # training knows one of them
            return rest
        one = dict(max(members, key=lambda told: told["at"]))
        one["labels"] = sum(told["labels"] for told in members)
        one["converged"] = all(told["converged"] for told in members)
        return {**rest, self.to: one}

    def posterior(self, before: Posterior) -> Posterior:
        """How sure the run is of people who came after training."""
        if not set(self.names) <= set(before.names):
            return before.without(self.names)
        if self.is_rename:
            names = tuple(self.to if name in self.names else name for name in before.names)
            return replace(before, names=names)
        return before.merged(self.names, self.to)

    def predictions(self, *, is_mean: bool) -> pd.DataFrame:
        """PREDICTIONS that are still those of the run."""
        table = self.run.predictions
        who = column_of(table, "annotator")
        if self.is_rename:
            return table.assign(annotator=who.where(who != self.names[0], self.to))
        stays = ~who.isin(list(self.names))
        if is_mean:
            stays &= column_of(table, "source") != "population"
        return rows_of(table, stays)

    def recounted(self, before: Counts) -> Counts:
        """The same counts under the new name; those of several people added up."""
        if isinstance(before, GlobalMode):
            rest = [name for name in before.annotators if name not in self.names]
            return replace(before, annotators=tuple(sorted([*rest, self.to])))
        members = [before.counts[name] for name in self.names]
        rest = {name: counts for name, counts in before.counts.items() if name not in self.names}
        added = tuple(sum(column) for column in zip(*members, strict=True))
        return replace(before, counts=dict(sorted({**rest, self.to: added}.items())))
