"""`hyperadapters jury`: what a jury of weighted people would say of texts."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated

import typer

from hyperadapters.cli.options import TEXT, Annotator, AttributesFile, Item, Text

if TYPE_CHECKING:
    import pandas as pd

MOST_SHOWN = 3
"""Verdicts that are shown on the screen."""


def jury(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|PREDICTIONS",
            help="Run folder, which is asked about the texts of --input; or a file of predictions "
            "of any system.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="FILE",
            help="File to make, a row for every text: .csv, .parquet or .jsonl.",
            show_default=False,
        ),
    ],
    input: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="Texts, formats as for train; for a run.",
            show_default=False,
        ),
    ] = None,
    juror: Annotated[
        list[str] | None,
        typer.Option(
            "--juror",
            metavar="ID[=WEIGHT]",
            help="Somebody who sits on the jury, with a weight other than 1 if given; may be given "
            "several times.",
            show_default=False,
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="ATTRIBUTE=VALUE",
            help="Everybody with this value is added. May be given several times: any of several "
            "values of one attribute will do, but of several attributes all must fit.",
            show_default=False,
        ),
    ] = None,
    draw: Annotated[
        int | None,
        typer.Option(
            "--draw",
            metavar="N",
            help="So many people are drawn at random from those of --where, or from everybody.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Of --draw and of the intervals.")
    ] = 0,
    attributes: AttributesFile = None,
    text: Text = TEXT,
    annotator: Annotator = "annotator",
    item: Item = "text_id",
) -> None:
    """What a jury would say of each text: distribution, verdict, dissent and a 90 % interval.

    Without --juror, --where and --draw it is everybody.

    Example: hyperadapters jury runs/first --input new.csv --juror a1 --juror a2=2.5 --output v.csv
    """
    from hyperadapters.data import read_attributes
    from hyperadapters.errors import ConfigError
    from hyperadapters.evaluation.jurors import choose_jurors
    from hyperadapters.evaluation.jury import jury as verdicts_by
    from hyperadapters.experiments.folder import refuse_existing
    from hyperadapters.tables import check_ending, read_predictions
    from hyperadapters.tables.pieces import write_pieces

    # Before the work, not after it.
    check_ending(output)
    refuse_existing(output)
    told = read_attributes(attributes, annotator) if attributes is not None else None
    wanted = parse_where(where) if where else None
    if source.is_dir():
        if input is None:
            raise ConfigError(f"{source} is a run: name the texts it is asked about with --input")
        verdicts, words = _of_run(source, input, juror, wanted, draw, seed, told, list(text), item)
    else:
        if input is not None:
            raise ConfigError(f"--input is for a run folder, and {source} is none")
        table = read_predictions(source)
        people = sorted(set(table["annotator"]))
        named = parse_jurors(juror, people) if juror else None
        weights = choose_jurors(people, named, where=wanted, draw=draw, seed=seed, attributes=told)
        verdicts, words = verdicts_by(table, weights, seed=seed), {}
        left_out = len(set(table["text_id"]) - set(verdicts["text_id"]))
        if left_out:
            typer.echo(f"{left_out:,} texts are left out: there is no prediction by a juror")
    write_pieces([verdicts], output)
    jurors = max(verdicts["n_jurors"])
    dissent = sum(verdicts["dissent"]) / len(verdicts)
    typer.echo(
        f"{len(verdicts):,} verdicts by up to {jurors:,} jurors in {output}; "
        f"mean dissent {dissent:.3f}"
    )
    _show_most_contested(verdicts, words)


def _show_most_contested(verdicts: "pd.DataFrame", words: dict[str, str]) -> None:
    """The verdicts with most dissent, so that a file need not be opened to see what it is."""
    for row in verdicts.sort_values("dissent", ascending=False).head(MOST_SHOWN).to_dict("records"):
        text = words.get(row["text_id"], row["text_id"])
        shown = "".join(
            sign if sign.isprintable() else " " for sign in shorten(str(text), 60, placeholder="…")
        )
        typer.echo(f"  dissent {row['dissent']:.2f}  {row['verdict']}  {shown}")


def _of_run(
    source: Path,
    input: Path,
    juror: list[str] | None,
    where: dict[str, list[str]] | None,
    draw: int | None,
    seed: int,
    told: "pd.DataFrame | None",
    text: list[str],
    item: str,
) -> "tuple[pd.DataFrame, dict[str, str]]":
    from hyperadapters.cli.row_progress import shown_rows
    from hyperadapters.data import read_annotations
    from hyperadapters.experiments import load
    from hyperadapters.experiments.jury import jurors_of, verdicts_of_run
    from hyperadapters.tables.frames import columns_of

    run = load(source)
    named = parse_jurors(juror, run.vocabulary.names) if juror else None
    weights = jurors_of(run, named, where=where, draw=draw, seed=seed, attributes=told)
    table = read_annotations(
        input, text=text, item=item, allow_leaks=True, min_labels=0, needs_annotator=False
    )
    texts = columns_of(table, [n for n in ("text_id", "text", "text_pair") if n in table])
    words = dict(zip(texts["text_id"].astype(str), texts["text"].astype(str), strict=True))
    with shown_rows() as progress:
        texts = texts.drop_duplicates()
        return verdicts_of_run(run, texts, weights, seed=seed, progress=progress), words


def parse_jurors(given: Sequence[str], people: Sequence[str]) -> dict[str, float]:
    """``ID`` and ``ID=WEIGHT`` → weights; an id may hold an equals sign itself.

    Raises:
        ConfigError: A weight is not a number, or somebody is named twice.
    """
    from hyperadapters.errors import ConfigError

    known, found = set(people), {}
    for part in given:
        name, equals, weight = (part, "", "1") if part in known else part.rpartition("=")
        if not equals:
            name, weight = part, "1"
        try:
            number = float(weight)
        except ValueError:
            raise ConfigError(f"--juror wants ID or ID=WEIGHT, got {part!r}") from None
        if name in found:
            raise ConfigError(f"juror {name} is named twice")
        found[name] = number
    return found


def parse_where(given: Sequence[str]) -> dict[str, list[str]]:
    """``ATTRIBUTE=VALUE`` → attribute and its values.

    Raises:
        ConfigError: There is no equals sign.
    """
    from hyperadapters.errors import ConfigError

    found: dict[str, list[str]] = {}
    for part in given:
        name, equals, value = part.partition("=")
        if not (name and equals and value):
            raise ConfigError(f"--where wants ATTRIBUTE=VALUE, got {part!r}")
        found.setdefault(name, []).append(value)
    return found
