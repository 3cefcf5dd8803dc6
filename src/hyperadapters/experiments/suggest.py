"""Whom to ask what: the texts of a pool that would tell most about a person."""

from typing import TYPE_CHECKING

import pandas as pd
from torch import Tensor

from hyperadapters.adaptation import PersonalVectors, check_adaptable
from hyperadapters.adaptation.suggest import choose_texts, told_by
from hyperadapters.data.readers import with_text_ids
from hyperadapters.errors import ConfigError
from hyperadapters.experiments.adapt import posterior_of
from hyperadapters.experiments.prior import prior_of_run
from hyperadapters.inference import Texts, as_table
from hyperadapters.methods import AnnotatorClassifier, find_method

if TYPE_CHECKING:
    from hyperadapters.experiments.run import Run


def suggest_texts(run: "Run", annotator: str, pool: Texts, count: int) -> pd.DataFrame:
    """See `Run.suggest`."""
    check_adaptable(find_method(run.record.method))
    table = _distinct(with_text_ids(as_table(pool, pairs=run.reads_pairs)))
    if not 0 < count <= len(table):
        raise ConfigError(f"{count} texts cannot be chosen from a pool of {len(table)}")
    fitted = run.fitted
    assert isinstance(fitted, AnnotatorClassifier)  # noqa: S101 - the method is adaptable
    vector, covariance = _known_of(run, fitted, annotator)
    asked = table.drop(columns="label", errors="ignore").assign(annotator=annotator)
    told = told_by(fitted, asked, vector, covariance)
    places, gains = choose_texts(told, covariance, count)
    found = asked.iloc[places].reset_index(drop=True)
    return found.assign(rank=range(1, count + 1), information=gains)


def _known_of(run: "Run", fitted: AnnotatorClassifier, annotator: str) -> tuple[Tensor, Tensor]:
    """Somebody's vector and its covariance.

    Raises:
        ConfigError: The run was trained on them.
    """
    if annotator not in run.vocabulary:
        prior = prior_of_run(run, fitted)
        return prior.mean, prior.covariance
    posterior = posterior_of(run, fitted).only([annotator])
    if not posterior.names:
        raise ConfigError(
            f"the run was trained on {annotator}, and does not tell how well it knows those: texts "
            "can be suggested for people who came by adapt, and for strangers"
        )
    place = int(run.vocabulary.indices([annotator])[0])
    vectors = PersonalVectors(fitted.network).of_annotators()
    return vectors[place].double(), posterior.covariance(0)


def _distinct(table: pd.DataFrame) -> pd.DataFrame:
    """Every text once, where it stands first."""
    texts = [name for name in ("text", "text_pair") if name in table]
    return table.drop_duplicates(texts).reset_index(drop=True)
