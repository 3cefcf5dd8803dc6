"""People of a run as ordinary PEFT LoRA folders."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hyperadapters.conditions import Vocabulary
from hyperadapters.errors import ConfigError, RunError
from hyperadapters.export import export_lora
from hyperadapters.export.folders import check_is_free
from hyperadapters.inference import POPULATION
from hyperadapters.inference.rows import names_for
from hyperadapters.methods import AnnotatorClassifier
from hyperadapters.methods.classifier import ATTRIBUTES, CONDITION

if TYPE_CHECKING:
    from hyperadapters.experiments.run import Run


def export_people(
    run: "Run",
    annotators: str | Sequence[str],
    output: Path,
    *,
    include_head: bool = True,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """See `Run.export`."""
    names = names_for(annotators, run.vocabulary)
    if not names:
        raise ConfigError("nobody is named; wanted all, population or ids")
    classifier = _classifier_for(run, names)
    check_is_free(output)
    if not resume and output.is_dir() and any(output.iterdir()):
        raise RunError(f"{output} exists; name another output, or remove it first")
    told = _told(classifier, run.vocabulary, names)
    if isinstance(annotators, str) and len(names) == 1 and annotators == names[0]:
        one = {name: values[0] for name, values in told.items()}
        return export_lora(classifier.model, one, output, include_head=include_head, resume=resume)
    if not told:
        # What is asked for is the population alone, several times no different.
        folder = output / folder_name(names[0])
        return export_lora(classifier.model, {}, folder, include_head=include_head, resume=resume)
    return export_lora(
        classifier.model,
        told,
        output,
        include_head=include_head,
        names=[folder_name(name) for name in names],
        resume=resume,
        progress=progress,
    )


def folder_name(annotator: str) -> str:
    """The name of somebody's folder: the id, with ``%2F`` and the like for what no name may hold.

    Different ids have different names. Letters, digits and ``_.-~`` stay as they are, but for a
    dot at the beginning.
    """
    quoted = quote(annotator, safe="")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted


def _classifier_for(run: "Run", names: Sequence[str]) -> AnnotatorClassifier:
    """The fitted network, where it has an adapter of these.

    Raises:
        ConfigError: The method has no network, or the same one for everybody.
    """
    method, fitted = run.record.method, run.fitted
    if not isinstance(fitted, AnnotatorClassifier):
        raise ConfigError(f"{method} counts labels and has no adapter that could be exported")
    if not fitted.network.spec.needs_conditions and set(names) != {POPULATION}:
        raise ConfigError(
            f"{method} has one LoRA for everybody and none of a person's own; export it as "
            f"{POPULATION!r}"
        )
    return fitted


def _told(
    classifier: AnnotatorClassifier, vocabulary: Vocabulary, names: Sequence[str]
) -> dict[str, list[Any]]:
    """The conditions that the adapters of these people are written from."""
    spec, indices = classifier.network.spec, vocabulary.indices(names)
    given = {
        CONDITION: [int(index) for index in indices],
        ATTRIBUTES: list(classifier.attributes_of(indices)),
    }
    wanted = spec.conditions if spec.needs_conditions else ()
    return {name: given[name] for name in given if name in wanted}
