"""People whom no method has seen: scores by the number of their labels that are known.

One fold of the annotators is held out, and so are the texts of test, in the manner of PersEval.
Methods are trained on what is left. Of every held-out person k ratings of
texts of train become known, drawn at random or suggested; then they are asked about texts of test.
Every k and every method is scored on the same rows: those of people who have as many ratings in
train as the largest k, or at least as many as is said; who has fewer than k gives all of them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hyperadapters.adaptation.suggest import choose_texts, told_by
from hyperadapters.data import SplitBy, assign_splits
from hyperadapters.data.held_out import check_disjoint, held_out
from hyperadapters.errors import ConfigError, DataError, RunError
from hyperadapters.evaluation import evaluate
from hyperadapters.experiments.compare import compare
from hyperadapters.experiments.folder import read_json, write_json
from hyperadapters.experiments.grid import CompareFolder
from hyperadapters.experiments.newcomers import Newcomers
from hyperadapters.experiments.prior import prior_of_run
from hyperadapters.experiments.run import Run
from hyperadapters.experiments.unseen_page import COVERAGE, unseen_table
from hyperadapters.methods import AnnotatorClassifier, find_method
from hyperadapters.tables import (
    check_annotations,
    read_predictions,
    write_predictions,
    write_scores,
)
from hyperadapters.tables.frames import column_of, columns_of, rows_of
from hyperadapters.training import Progress

Z, ROUNDING = 1.96, 1e-9

COUNTS = (0, 1, 2, 4, 8, 16, 32)
CHOICES = ("random", "suggested")
FOLDER, SCORES, TABLE, RECORD = "k_shot", "k_shot.json", "k_shot.md", "unseen.json"
RATES = "k_shot_rates"
"""Folder of rates beside that of PREDICTIONS, with files of the same names."""


@dataclass(frozen=True)
class UnseenComparison:
    """What a comparison on unseen people found.

    Attributes:
        folder: Where it lies.
        scores: SCORES, slices ``k=0``, ``k=1`` and so on; where texts were suggested the method is
            called ``NAME, suggested``.
        n_people: How many held-out people are scored.
    """

    folder: CompareFolder
    scores: pd.DataFrame
    n_people: int


@dataclass(frozen=True)
class Parts:
    """Ratings divided for the protocol.

    Attributes:
        known: ANNOTATIONS of people of training, with splits of texts.
        pool: What can become known of the others: ratings of texts of train.
        asked: Their ratings of texts of test.
    """

    known: pd.DataFrame
    pool: pd.DataFrame
    asked: pd.DataFrame

    @classmethod
    def of(
        cls, ratings: pd.DataFrame, how: SplitBy, least: int, *, allow_leaks: bool = False
    ) -> "Parts":
        """Divide ratings.

        Args:
            ratings: ANNOTATIONS; splits of texts that are there stay.
            how: Whom to hold out.
            least: How many ratings of texts of train somebody needs to be scored.
            allow_leaks: Whether texts may stand in several splits of the table.

        Raises:
            ConfigError: There is no such fold.
            DataError: The ratings cannot be used, or nobody who is held out has enough of them.
        """
        table = assign_splits(check_annotations(ratings, allow_leaks=allow_leaks))
        if not allow_leaks:
            check_disjoint(table, "text")
        out = column_of(table, "annotator").isin(sorted(held_out(table, how)))
        split = column_of(table, "split")
        pool, asked = (rows_of(table, out & (split == name)) for name in ("train", "test"))
        counts = Counter(column_of(pool, "annotator"))
        enough = {name for name, count in counts.items() if count >= least}
        scored = sorted(enough & set(column_of(asked, "annotator")))
        if not scored:
            there = f"the most that one has is {max(counts.values(), default=0)}"
            what = f"nobody who is held out has {least} ratings of texts of train; {there}"
            raise DataError(
                "table", [what], "Name smaller numbers (--counts, --least), or another fold."
            )
        return cls(
            rows_of(table, ~out).reset_index(drop=True),
            *(
                rows_of(rows, column_of(rows, "annotator").isin(scored)).reset_index(drop=True)
                for rows in (pool, asked)
            ),
        )

    @property
    def n_people(self) -> int:
        """How many people are scored."""
        return len(set(self.asked["annotator"]))


def compare_unseen(
    ratings: pd.DataFrame,
    methods: Sequence[str],
    seeds: Sequence[int],
    output: str | PathLike[str],
    *,
    split: SplitBy | None = None,
    counts: Sequence[int] = COUNTS,
    choices: Sequence[str] = CHOICES,
    least: int | None = None,
    backbone: str = "minilm",
    jobs: int = 1,
    resume: bool = False,
    allow_leaks: bool = False,
    command: str = "",
    progress: Progress | None = None,
    **settings: Any,
) -> UnseenComparison:
    """Compare methods on people whom none of them has seen, by how many of their labels are known.

    Methods that new people can be added to are adapted (see `Run.adapt`) to k labels of each
    person; the others answer as if none were known, whatever k. Where attributes are told, they are
    known at every k.

    Args:
        ratings: ANNOTATIONS, see `fit`.
        methods: Names of methods.
        seeds: Seeds, of training and of the random choice of labels.
        output: The folder, which must not exist yet: that of `compare` (of people of training),
            `k_shot.md` and `unseen.json`; in every run folder `k_shot/` with PREDICTIONS of the
            others for each k, and `k_shot.json` with SCORES of these.
        split: Whom to hold out, see `SplitBy`; `by` is not looked at.
        counts: The k.
        choices: How the labels that are known are chosen: ``"random"``, ``"suggested"`` (see
            `Run.suggest`; all of a person in one batch before the first is known), or both.
        least: How many ratings of texts of train a held-out person needs to be scored, at least 1;
            by default the largest k. Who has fewer than k gives all of them.
        backbone: See `fit`.
        jobs: See `compare`.
        resume: Go on with a comparison that was stopped.
        allow_leaks: Go on although a text stands in more than one split.
        command: The command to show below the tables.
        progress: Who watches.
        **settings: See `compare`.

    Raises:
        ConfigError: There is no such fold, or method, or setting; numbers or choices that cannot
            be used.
        DataError: The ratings cannot be used, or nobody who is held out has enough of them.
        RunError: The output exists or is of another comparison; or cells failed.
    """
    counts = _checked(counts, choices)
    how = SplitBy("both", **{k: v for k, v in vars(split or SplitBy()).items() if k != "by"})
    least = max(counts) if least is None else least
    if least < 1:
        raise ConfigError(f"least must be at least 1, got {least}")
    parts = Parts.of(ratings, how, least, allow_leaks=allow_leaks)
    folder, watching = CompareFolder(Path(output)), progress or Progress()
    record = {"split": asdict(how), "counts": counts, "choices": list(choices), "least": least}
    if resume and (folder.path / RECORD).is_file():
        _check_same(read_json(folder.path / RECORD), record, folder.path)
    trained = compare(
        parts.known,
        methods,
        seeds,
        output,
        backbone=backbone,
        jobs=jobs,
        resume=resume,
        allow_leaks=allow_leaks,
        command=command,
        progress=watching,
        **settings,
    )
    write_json(folder.path / RECORD, {**record, "n_people": parts.n_people})
    found = []
    for method, row in trained.table.rows.items():
        for seed in row.seeds:
            cell = folder.cell(method, seed)
            found.append(_cell_scores(Run.open(cell), parts, counts, choices, watching))
            write_scores(found[-1], cell / SCORES, overwrite=True)
    scores = pd.concat(found, ignore_index=True)
    told = {**record, "n_people": parts.n_people, "n_rows": len(parts.asked), "command": command}
    (folder.path / TABLE).write_text(unseen_table(scores, told), encoding="utf-8")
    return UnseenComparison(folder, scores, parts.n_people)


def _checked(counts: Sequence[int], choices: Sequence[str]) -> list[int]:
    """The k in order, each once.

    Raises:
        ConfigError: There is none, one is negative, or a choice is unknown.
    """
    if not counts or min(counts) < 0 or max(counts) < 1:
        raise ConfigError(f"counts must be whole numbers from 0, not 0 alone, got {list(counts)}")
    if not choices or not set(choices) <= set(CHOICES):
        wanted = ", ".join(CHOICES)
        raise ConfigError(f"labels are chosen by some of {wanted}, got {list(choices)}")
    return sorted(set(counts))


def _check_same(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    other = [name for name in now if before.get(name) != now[name]]
    if other:
        raise RunError(f"{folder} was made with another {', another '.join(other)}")


def _cell_scores(
    run: Run, parts: Parts, counts: list[int], choices: Sequence[str], progress: Progress
) -> pd.DataFrame:
    """SCORES of one run for every k and choice."""
    found = []
    for name, k, path in _answers(run, parts, counts, choices, progress):
        scores = evaluate(read_predictions(path))
        whole = rows_of(scores, column_of(scores, "slice") == "all")
        told = [whole]
        if _rates(path).is_file():
            told.append(rate_coverage(pd.read_parquet(_rates(path)), like=whole.iloc[:1]))
        found.extend(part.assign(method=name, slice=f"k={k}") for part in told)
    return pd.concat(found, ignore_index=True)


def rate_coverage(rates: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """Of how many people the share of positive labels lies in its 90 % interval, as SCORES.

    Positive are all labels but the first, such as "not hateful" or the lowest of a scale.

    Args:
        rates: See `Run.rates`, with `observed`.
        like: A row of SCORES, for method, seed and split.
    """
    # What is true of the share of the first label is true of the share of all others.
    of = rows_of(rates, column_of(rates, "label") == rates["label"].iloc[0])
    inside = of["observed"].between(of["low"] - ROUNDING, of["high"] + ROUNDING).to_numpy(float)
    value, spread = inside.mean(), Z * inside.std() / np.sqrt(len(inside))
    low, high = max(0.0, value - spread), min(1.0, value + spread)
    return like.assign(metric=COVERAGE, value=value, low=low, high=high, n=len(inside))


def _answers(
    run: Run, parts: Parts, counts: list[int], choices: Sequence[str], progress: Progress
) -> Iterator[tuple[str, int, Path]]:
    """Name, k and the file of PREDICTIONS; those that are there already are not made again."""
    adaptable = find_method(run.record.method).is_adaptable
    folder = run.folder.path / FOLDER
    for one in (folder, folder.with_name(RATES)):
        one.mkdir(exist_ok=True)
    strangers = folder / "k-0.parquet"
    if not strangers.is_file():
        write_predictions(_asked(run, parts), strangers)
    if adaptable and not _rates(strangers).is_file():
        run.rates(parts.asked).to_parquet(_rates(strangers), index=False)
    newcomers: Newcomers | None = None
    for choice in choices if adaptable else choices[:1]:
        name = run.record.method + (", suggested" if choice == "suggested" else "")
        place: np.ndarray | None = None
        for k in counts:
            path = folder / f"{choice}-{k}.parquet" if k and adaptable else strangers
            if not (path.is_file() and (not adaptable or _rates(path).is_file())):
                progress.message(f"{name}, seed {run.record.seed}: {k} labels a person")
                if place is None:
                    place = places_of_labels(run, parts.pool, choice, max(counts))
                newcomers = newcomers or Newcomers(run, parts.pool, parts.asked)
                found = newcomers.find(place < k)
                newcomers.rates(found).to_parquet(_rates(path), index=False)
                write_predictions(newcomers.predictions(found), path, overwrite=True)
            yield name, k, path


def _rates(predictions: Path) -> Path:
    """The file of rates that belongs to one of PREDICTIONS."""
    return predictions.parent.with_name(RATES) / predictions.name


def _asked(run: Run, parts: Parts) -> pd.DataFrame:
    return run.predict(parts.asked, "rows")


def places_of_labels(run: Run, pool: pd.DataFrame, choice: str, most: int) -> np.ndarray:
    """Which of its person's each rating becomes known: first (0), second, ...

    Args:
        run: The run, which knows none of the people.
        pool: Their ratings.
        choice: ``"random"``, the same for all methods with the seed of the run; or
            ``"suggested"``, what tells most about a stranger first. Labels are not looked at.
        most: How many of each person are put in order; the others have at least this number.
    """
    if choice == "random":
        shuffled = pool.sample(frac=1, random_state=run.record.seed)
        return shuffled.groupby("annotator").cumcount().reindex(pool.index).to_numpy()
    fitted = run.fitted
    assert isinstance(fitted, AnnotatorClassifier)  # noqa: S101 - the method is adaptable
    prior = prior_of_run(run, fitted)
    columns = [name for name in pool if name not in ("label", "split", "text_id")]
    told = told_by(fitted, columns_of(pool, columns), prior.mean, prior.covariance)
    place = np.full(len(pool), most)
    for rows in pool.groupby("annotator").indices.values():
        chosen, _ = choose_texts(told[rows], prior.covariance, min(most, len(rows)))
        place[rows[chosen]] = np.arange(len(chosen))
    return place
