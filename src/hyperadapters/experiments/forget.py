"""People removed from a run: what is theirs alone, in every file of the folder.

What the shared parameters learned from their ratings stays: this is removal, not unlearning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from hyperadapters.adaptation import Posterior
from hyperadapters.baselines import GlobalMode
from hyperadapters.conditions import Attributes, Vocabulary
from hyperadapters.data.people import People
from hyperadapters.errors import RunError
from hyperadapters.experiments.remade import Counts, write_changed
from hyperadapters.methods.removal import Shares
from hyperadapters.tables.frames import column_of, rows_of

if TYPE_CHECKING:
    from hyperadapters.experiments.run import Run


def forget_people(run: "Run", annotators: str | Sequence[str], output: Path | None) -> Path:
    """See `Run.forget`; `run` must be opened anew, for its fitted method is changed."""
    names = [annotators] if isinstance(annotators, str) else list(dict.fromkeys(annotators))
    if not names:
        raise RunError("nobody is named who is to be forgotten")
    return write_changed(run, _Forgotten(run, names), output)


@dataclass(frozen=True)
class _Forgotten:
    """Some people who are in the run no more.

    Attributes:
        run: The run.
        names: Their ids.
    """

    run: "Run"
    names: Sequence[str]

    def __post_init__(self) -> None:
        self.run.vocabulary.indices(self.names, strict=True)
        if not len(self.vocabulary):
            raise RunError("nobody would be left; remove the folder instead")

    @property
    def what(self) -> str:
        """What is done to them."""
        return "forgotten"

    @property
    def when_nothing_is_left(self) -> str:
        """What is said where no prediction would be left."""
        return "remove the folder instead"

    @property
    def gone(self) -> Sequence[str]:
        """All of them."""
        return self.names

    @property
    def vocabulary(self) -> Vocabulary:
        """Everybody else."""
        gone, before = set(self.names), self.run.vocabulary
        return before.only(name for name in before.names if name not in gone)

    @property
    def taken(self) -> Sequence[str]:
        """The others keep their names."""
        return self.vocabulary.names

    @property
    def merged(self) -> Mapping[str, Shares]:
        """Nobody is."""
        return {}

    def people(self, before: People) -> People:
        """What is known of the others; see `_without`."""
        return _without(before, self.vocabulary)

    def adapted(self) -> dict[str, Any]:
        """What `run.json` says of the others who came after training."""
        before, rest = self.run.record.adapted, self.vocabulary
        return {name: told for name, told in before.items() if name in rest}

    def posterior(self, before: Posterior) -> Posterior:
        """How sure the run is of the others who came after training."""
        return before.only(self.vocabulary.names)

    def predictions(self, *, is_mean: bool) -> pd.DataFrame:
        """PREDICTIONS of the others."""
        table = self.run.predictions
        stays = ~column_of(table, "annotator").isin(list(self.names))
        if is_mean:
            stays &= column_of(table, "source") != "population"
        return rows_of(table, stays)

    def recounted(self, before: Counts) -> Counts:
        """The same counts without those of the forgotten, as far as they are kept apart."""
        gone = set(self.names)
        if isinstance(before, GlobalMode):
            return replace(before, annotators=tuple(a for a in before.annotators if a not in gone))
        return replace(before, counts={a: c for a, c in before.counts.items() if a not in gone})


def _without(people: People, rest: Vocabulary) -> People:
    """What is known of the others, without values that nobody else has.

    Raises:
        RunError: Nobody else has any attribute.
    """
    values = {name: row for name, row in people.values.items() if name in rest}
    borne = {n: {row[i] for row in values.values()} for i, n in enumerate(people.names)}
    listed = {
        name: [value for value in cast(Sequence[str], kinds) if value in borne[name]]
        for name, kinds in people.attributes.values.items()
    }
    declared = {name: kinds for name, kinds in listed.items() if kinds}
    if not declared:
        raise RunError("nobody else has any attribute; remove the folder instead")
    places = [i for i, name in enumerate(people.names) if name in declared]
    rows = {who: tuple(row[i] for i in places) for who, row in values.items()}
    return People(Attributes(declared), rows)
