"""What a run expects of people whom it has never seen: found after training, kept in its folder."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from hyperadapters.adaptation import (
    PersonalVectors,
    Prior,
    fit_prior,
    fit_set_encoder,
    prior_of,
)
from hyperadapters.errors import ConfigError
from hyperadapters.experiments.folder import RunFolder
from hyperadapters.methods import AnnotatorClassifier, Examples
from hyperadapters.methods.population import set_population

if TYPE_CHECKING:
    from hyperadapters.experiments.run import Run


def prior_of_run(run: "Run", fitted: AnnotatorClassifier) -> Prior:
    """What is expected of people whom a run has never seen.

    Raises:
        RunError: The file is damaged.
    """
    vectors = PersonalVectors(fitted.network)
    if run.folder.prior.is_file():
        return Prior.load(run.folder.prior, vectors.population())
    trained = torch.from_numpy(np.flatnonzero(~fitted.adapted))
    return prior_of(vectors, trained, fitted.settings.shrinkage)


def learns_prior(fitted: AnnotatorClassifier) -> bool:
    """Whether the prior is found from labels: people differ in the head alone, and can be added."""
    return fitted.method.is_adaptable and fitted.shares_texts


def check_amortisable(fitted: AnnotatorClassifier) -> None:
    """Refuse a method that no set encoder can be trained for.

    Raises:
        ConfigError: It is one.
    """
    if not learns_prior(fitted):
        raise ConfigError(
            "amortised is for methods whose annotators differ in the head alone, not for "
            f"{fitted.method.name} with these settings"
        )


def write_prior(
    fitted: AnnotatorClassifier, train: Examples, dev: Examples, path: Path, seed: int
) -> None:
    """Find the prior of a trained method from the labels of its people, and write it.

    Its mean becomes the population of the method, so that it is what strangers are answered with.
    Nothing is written where new people cannot be added to the method, or where annotators differ
    below the head, so that every row would be a pass of its own: there the prior is that of the
    trained vectors.

    Args:
        fitted: The trained method, whose population is changed: it is to be saved afterwards.
        train: Rows of its people.
        dev: Further ones, of texts that it was not trained on.
        path: The file.
        seed: Of the choice of people where there are many, and of labels.
    """
    if not learns_prior(fitted):
        return
    everybody = torch.arange(len(fitted.vocabulary))
    start = prior_of(PersonalVectors(fitted.network), everybody, fitted.settings.shrinkage)
    prior = fit_prior(fitted, train, dev, start, seed)
    set_population(fitted, prior.mean)
    prior.save(path)


def write_set_encoder(
    fitted: AnnotatorClassifier, parts: list[Examples], folder: RunFolder, seed: int
) -> None:
    """Train what gives newcomers a vector in one pass, and write it beside the prior.

    Args:
        fitted: The trained method.
        parts: Rows of its people.
        folder: Where the prior is.
        seed: Of everything that is random.

    Raises:
        ConfigError: There are fewer than five people.
    """
    prior = Prior.load(folder.prior, PersonalVectors(fitted.network).population())
    encoder = fit_set_encoder(fitted, parts, prior, seed)
    if encoder is None:
        raise ConfigError("amortised needs at least five annotators with labels")
    encoder.save(folder.set_encoder)
