"""What else can be asked of the people of a run; `Run` has these methods."""

from collections.abc import Callable
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
