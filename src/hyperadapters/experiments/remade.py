"""A run folder for other people: some of them gone, under another name, or made one.

Nobody else's parameters are touched, and nothing in the new folder names an id that is gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import pandas as pd

from hyperadapters.adaptation import Posterior
from hyperadapters.baselines import AnnotatorMode, GlobalMode
from hyperadapters.conditions import Vocabulary
from hyperadapters.data.people import People
from hyperadapters.errors import RunError
from hyperadapters.evaluation import evaluate
from hyperadapters.experiments.folder import RunFolder, write_json
from hyperadapters.experiments.rewrite import change, ordinary_words, written_anew
from hyperadapters.experiments.traces import check_forgotten
from hyperadapters.methods import AnnotatorClassifier
from hyperadapters.methods.removal import Shares, population_is_a_mean, take_rows
from hyperadapters.tables import write_predictions, write_scores

if TYPE_CHECKING:
    from hyperadapters.experiments.run import Run

Counts = GlobalMode | AnnotatorMode


@runtime_checkable
class PeopleChange(Protocol):
    """What becomes of the people of a run."""

    @property
    def what(self) -> str:
        """What is done to them, in one word for `run.json`."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """The ids that it is about."""
        ...

    @property
    def gone(self) -> Sequence[str]:
        """Ids that nothing may be left of."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """Who there will be."""
        ...

    @property
    def taken(self) -> Sequence[str]:
        """The old name of each of them."""
        ...

    @property
    def merged(self) -> Mapping[str, Shares]:
        """New name → what its row is the weighted mean of."""
        ...

    @property
    def when_nothing_is_left(self) -> str:
        """What is said where no prediction would be left."""
        ...

    def people(self, before: People) -> People:
        """What is known of everybody."""
        ...

    def adapted(self) -> dict[str, Any]:
        """What `run.json` says of people who came after training."""
        ...

    def posterior(self, before: Posterior) -> Posterior:
        """How sure the run is of people who came after training."""
        ...

    def predictions(self, *, is_mean: bool) -> pd.DataFrame:
        """PREDICTIONS that are still those of the run.

        Args:
            is_mean: Whether the population is the mean of the people, and changes with them.
        """
        ...

    def recounted(self, before: Counts) -> Counts:
        """The counts of a baseline."""
        ...


def write_changed(run: "Run", new: PeopleChange, output: Path | None) -> Path:
    """Write the run once more, with its people changed.

    Args:
        run: The run, opened anew, for its fitted method is changed.
        new: The change.
        output: The new folder; `None` puts it in the place of the run's.

    Raises:
        RunError: The output exists, no prediction would be left, or an id that is gone is found.
    """
    return written_anew(run, output, new.what, lambda made: _write(run, made, new))


def _write(run: "Run", made: RunFolder, new: PeopleChange) -> None:
    vocabulary, fitted = new.vocabulary, run.fitted
    results, people = dict(run.record.results), run.people
    write_json(made.vocabulary, vocabulary.to_dict())
    if isinstance(fitted, AnnotatorClassifier):
        predictions = new.predictions(is_mean=population_is_a_mean(fitted))
        after = None if people is None else new.people(people)
        fewer = take_rows(fitted, vocabulary, after, taken=new.taken, merged=new.merged)
        for key in ("trainable_parameters", "condition_parameters"):
            if key in results:
                results[key] = max(0, results[key] - fewer)
        fitted.save(made.path)
        if after is not None:
            write_json(made.people, after.to_dict())
    else:
        counted = new.recounted(fitted)
        write_json(made.counts, counted.to_dict())
        predictions = counted.predict(new.predictions(is_mean=False), seed=run.record.seed)
    if not len(predictions):
        raise RunError(f"no prediction would be left; {new.when_nothing_is_left}")
    write_predictions(predictions, made.predictions)
    write_scores(evaluate(predictions), made.scores)
    if run.folder.posterior.exists():
        new.posterior(Posterior.load(run.folder.posterior)).save(made.posterior)
    changes = [*run.record.changes, change(new.what, len(new.names))]
    record = replace(run.record, results=results, changes=changes, adapted=new.adapted())
    write_json(made.record, record.to_dict())
    check_forgotten(made.path, new.gone, ordinary_words(run))
