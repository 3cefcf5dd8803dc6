"""What else can be asked of the people of a run; `Run` has these methods."""

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pandas as pd

from hyperadapters.evaluation.jurors import Chosen, Wanted
from hyperadapters.inference import Texts

if TYPE_CHECKING:
    from hyperadapters.experiments.run import Run


class PeopleOfRun:
    """Methods of `Run` that are about its people together, or about their names."""

    def jury(
        self,
        texts: Texts,
        jurors: Chosen | None = None,
        *,
        where: Wanted | None = None,
        draw: int | None = None,
        seed: int = 0,
        attributes: pd.DataFrame | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> pd.DataFrame:
        """What a jury of people would say of texts: distribution, verdict, dissent, intervals.

        Args:
            texts: As for `predict`.
            jurors: Who sits on it: ids, or ids with weights, as ``{"a1": 1, "a2": 2.5}``. By
                default everybody; with `where` or `draw` those whom they add are there too.
            where: Everybody with these values of attributes, as ``{"age": "old"}`` or
                ``{"age": ["old", "young"], "gender": "f"}``, is added.
            draw: So many are drawn at random from these (without `where`: from everybody).
            seed: Of this draw, and of those behind the intervals.
            attributes: A table with a column ``annotator``; by default what the run was told.
            progress: Is told how many rows are predicted, and of how many.

        Returns:
            VERDICTS, a row for every text, see `hyperadapters.jury`. Of jurors to whom the run was
            adapted, what is not known of them is in the intervals too.

        Raises:
            ConditionError: A juror is unknown to the run.
            ConfigError: A weight is not positive, there are no such attributes, or nobody is left.
            DataError: The texts cannot be used, see `predict`.
        """
        from hyperadapters.experiments.jury import jurors_of, verdicts_of_run

        run = cast("Run", self)
        weights = jurors_of(run, jurors, where=where, draw=draw, seed=seed, attributes=attributes)
        return verdicts_of_run(run, texts, weights, seed=seed, progress=progress)

    def rates(self, texts: Texts, annotators: str | Sequence[str] = "rows") -> pd.DataFrame:
        """How often people would give each label on some texts, with intervals.

        The intervals are of the shares that will be observed: what is not known of a person is in
        them, and that labels of a few texts vary, see `docs/new-people.md`.

        Args:
            texts: As for `predict`.
            annotators: As for `predict`; by default those of the table, each on their own rows.

        Returns:
            A row for every person and label: `annotator`, `label`, `n` texts, `expected` share of
            the label, 90 % interval from `low` to `high`; and `observed`, where all texts have
            labels. People of training are left out: nothing tells how well they are known.

        Raises:
            ConditionError: An id in the list is unknown to the run.
            ConfigError: The method has no vector of an annotator.
            DataError: The texts cannot be used, see `predict`.
        """
        from hyperadapters.experiments.adapt import rates_of_run

        return rates_of_run(cast("Run", self), texts, annotators)

    def suggest(self, annotator: str, pool: Texts, count: int = 8) -> pd.DataFrame:
        """The texts of a pool whose labels would tell most about a person.

        They are chosen together, so that none tells what another does. The run does not know which
        texts somebody has labelled before: leave them out of the pool.

        Args:
            annotator: Somebody who came by `adapt`, or whom the run does not know: of these as
                much is known as of people in general.
            pool: Texts, as for `predict`; labels are not looked at.
            count: How many.

        Returns:
            The columns of the pool, `text_id` and `annotator`, the most telling text first; `rank`
            from 1; and `information`, what a label is expected to tell about the person's vector
            beyond those before it, in nats. Of texts that tell as much the earlier one is taken.

        Raises:
            ConfigError: The method has no vector of an annotator that could be learned, the run was
                trained on the person, or the pool has fewer texts.
            DataError: The texts cannot be used, see `predict`.
        """
        from hyperadapters.experiments.suggest import suggest_texts

        return suggest_texts(cast("Run", self), annotator, pool, count)

    def rename(self, annotator: str, to: str, output: str | PathLike[str]) -> "Run":
        """The run with another id for somebody; nothing of the old id is left in the new folder.

        Args:
            annotator: The id.
            to: The new id.
            output: Folder of the new run; the old one stays as it is.

        Returns:
            The new run. It answers as the old one does, to the bit.

        Raises:
            ConditionError: The id is unknown to the run.
            ConfigError: The new id is somebody's already, or can be nobody's.
            RunError: The output exists, or the old id is still found in a file of the new folder.
        """
        from hyperadapters.experiments.names import rename_person
        from hyperadapters.experiments.run import Run

        fresh = Run.open(cast("Run", self).folder.path)
        return Run.open(rename_person(fresh, annotator, to, Path(output)))

    def merge(self, annotators: Sequence[str], to: str, output: str | PathLike[str]) -> "Run":
        """The run with one person in the place of several ids.

        Their vector (or whatever is stored of a person) is the mean of theirs, weighted by the
        number of ratings that each was learned from; all alike in runs that do not tell it. Nobody
        else's answers change, but those for strangers do where nobody in particular is the mean of
        all people. Their rows of `predictions.parquet` are left out, for texts are not kept in a
        run, and they cannot be predicted again.

        Args:
            annotators: Two ids or more.
            to: The id of the one; one of theirs, or a new one.
            output: Folder of the new run; the old one stays as it is.

        Raises:
            ConditionError: An id is unknown to the run.
            ConfigError: There are fewer than two, they have different attributes, or the new id is
                somebody else's or can be nobody's.
            RunError: The output exists, no prediction would be left, or an id that is gone is still
                found in a file of the new folder.
        """
        from hyperadapters.experiments.names import merge_people
        from hyperadapters.experiments.run import Run

        fresh = Run.open(cast("Run", self).folder.path)
        return Run.open(merge_people(fresh, annotators, to, Path(output)))
