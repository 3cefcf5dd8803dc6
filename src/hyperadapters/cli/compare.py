"""`hyperadapters compare`: several methods with several seeds on the same ratings."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hyperadapters.cli.options import (
    METHOD_NAMES,
    TEXT,
    AllowLeaks,
    Annotator,
    Backbone,
    ComparedAttributes,
    Files,
    Fold,
    Folds,
    Item,
    JoinLabels,
    Label,
    Split,
    SplitBy,
    Text,
)
from hyperadapters.cli.settings import Config, Set, add_attributes, read_settings, split_by
from hyperadapters.cli.tasks import names_of, seeds_of
from hyperadapters.cli.unseen import numbers_of, show_unseen
from hyperadapters.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table as Shown

    from hyperadapters.experiments.comparison import Table

METHODS_SIDE_BY_SIDE = 4


def compare(
    files: Files,
    methods: Annotated[
        str,
        typer.Option(
            "--methods",
            metavar="M,M,...",
            help=f"Methods, with commas between them: {METHOD_NAMES}.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="DIR",
            help="Folder to make: a run folder for every method and seed, scores.json, "
            "differences.json, helped_and_hurt.json, table.md, table.html.",
            show_default=False,
        ),
    ],
    seeds: Annotated[
        str, typer.Option("--seeds", metavar="N,N,...", help="Seeds of every method.")
    ] = "0,1,2",
    backbone: Backbone = "minilm",
    jobs: Annotated[
        int,
        typer.Option("--jobs", metavar="N", help="Processes that run cells at the same time."),
    ] = 1,
    config: Config = None,
    settings: Set = None,
    text: Text = TEXT,
    annotator: Annotator = "annotator",
    label: Label = "label",
    item: Item = "text_id",
    split: Split = "split",
    by: SplitBy = "text",
    fold: Fold = "0",
    folds: Folds = "5",
    attribute: ComparedAttributes = None,
    unseen: Annotated[
        bool,
        typer.Option(
            "--unseen",
            help="Hold the people of --fold out of training, and score the methods on them by how "
            "many of their labels are known: k_shot.md, and k_shot.json of every run.",
        ),
    ] = False,
    counts: Annotated[
        str, typer.Option("--counts", metavar="K,K,...", help="With --unseen: how many labels.")
    ] = "0,1,2,4,8,16,32",
    least: Annotated[
        int | None,
        typer.Option(
            "--least",
            metavar="N",
            help="With --unseen: how many labels of train somebody needs to be scored; by default "
            "the largest of --counts. Who has fewer than K gives all.",
            show_default=False,
        ),
    ] = None,
    choose: Annotated[
        str,
        typer.Option(
            "--choose",
            metavar="HOW,HOW",
            help="With --unseen: which labels are known: random, suggested (see suggest), or both.",
        ),
    ] = "random,suggested",
    allow_leaks: AllowLeaks = False,
    join_labels: JoinLabels = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Keep what is finished, of other methods and seeds too, and go on with the rest; "
            "methods and seeds may be added.",
        ),
    ] = False,
) -> None:
    """Train several methods with several seeds on the same splits, and put them side by side.

    The table says which method is best by each metric, and which may be as good: the interval of
    its paired difference from the best, over texts and annotators, holds zero.

    A setting of one method alone is written with its name: --set hyperlora-paper:epochs=2.

    Example: hyperadapters compare ratings.csv --methods hyperlora,intercept,text-only --output all
    """
    changes, own = _of_methods(read_settings(config, settings))
    add_attributes(changes, attribute)
    how = split_by(by, fold, folds)
    if unseen and by != "text":
        raise ConfigError("--unseen holds out people and texts by itself: leave --split-by out")
    if unseen and own:
        raise ConfigError("with --unseen settings are those of all methods: --set KEY=VALUE")
    names, numbers = names_of(methods, "--methods"), seeds_of(seeds)
    from hyperadapters.cli.progress import shown_progress
    from hyperadapters.data import read_annotations
    from hyperadapters.experiments import compare as compare_methods
    from hyperadapters.methods import find_method

    for name in names:
        find_method(name).settings.changed({**changes, **own.get(name, {})})
    columns = {"text": text, "annotator": annotator, "label": label, "item": item, "split": split}
    doing = {"allow_leaks": allow_leaks, "join_labels": join_labels}
    ratings = read_annotations(*files, **columns, **doing)  # pyright: ignore

    def redo(method: str, seed: int) -> str:
        chosen = [*map(str, files), "--method", method, "--seed", str(seed)]
        told = ["--attribute"] if "attributes" in find_method(method).told else []
        named = [f"--{column}" for column in columns]
        divided = ("--split-by", "--fold", "--folds")
        kept = _options(("--backbone", *named, *divided, *told))
        for key, value in {**changes, **own.get(method, {})}.items():
            kept += ["--set", f"{key}={value}"] if key != "attributes" else []
        flags = [f"--{name.replace('_', '-')}" for name, is_set in doing.items() if is_set]
        return shlex.join(["hyperadapters", "train", *chosen, *kept, *flags, "--output", "RUN"])

    arguments = [part for part in sys.argv[1:] if part != "--resume"]
    made_by = shlex.join(["hyperadapters", *arguments])
    try:
        if unseen:
            how_many = numbers_of(counts, "--counts")
            doing_all = {"jobs": jobs, "resume": resume, "allow_leaks": allow_leaks, **changes}
            show_unseen(
                *(ratings, names, numbers, output, how, how_many, names_of(choose, "--choose")),
                **{"least": least, "backbone": backbone, "command": made_by, **doing_all},
            )
            return
        with shown_progress() as progress:
            found = compare_methods(
                ratings,
                names,
                numbers,
                output,
                backbone=backbone,
                jobs=jobs,
                resume=resume,
                allow_leaks=allow_leaks,
                split=how,
                command=made_by,
                redo=redo,
                progress=progress,
                settings_of=own,
                **changes,
            )
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command with --resume goes on in {output}", err=True)
        raise typer.Exit(130) from None
    _show(found.table)
    typer.echo(f"the table is in {found.folder.table}, all scores are in {found.folder.scores}")


def _of_methods(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Settings of all methods, and those that are written METHOD:KEY, method by method."""
    of_all: dict[str, Any] = {}
    own: dict[str, dict[str, Any]] = {}
    for key, value in settings.items():
        method, colon, name = key.rpartition(":")
        if colon:
            own.setdefault(method.strip(), {})[name.strip()] = value
        else:
            of_all[key] = value
    return of_all, own


def _options(wanted: tuple[str, ...]) -> list[str]:
    """Those of the options of this call, with their values."""
    found: list[str] = []
    given: Iterator[str] = iter(sys.argv[1:])
    for part in given:
        name, equals, _ = part.partition("=")
        if name in wanted:
            found += [part] if equals else [part, next(given, "")]
    return found


def _show(table: "Table") -> None:
    from rich.console import Console

    console = Console()
    names = list(table.rows)
    for start in range(0, len(names), METHODS_SIDE_BY_SIDE):
        console.print(_block(table, names[start : start + METHODS_SIDE_BY_SIDE]))


def _block(table: "Table", names: list[str]) -> "Shown":
    from rich import box
    from rich.table import Table as Shown
    from rich.text import Text as Words

    from hyperadapters.reports.names import SHOWN

    told = "mean ± standard deviation over seeds; ≈: may be as good as the best"
    title = Words(f"split {table.split}, {told}")
    shown = Shown(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    shown.add_column("metric")
    for name in names:
        shown.add_column(name.replace("-", "-\n"), justify="right")
    rows: list[Any] = [table.rows[name] for name in names]
    for metric in table.metrics:
        cells = [row.cells[metric] for row in rows]
        values = [
            Words(cell.text + (" ≈" if cell.is_near_best else ""), "bold" * cell.is_best)
            for cell in cells
        ]
        shown.add_row(SHOWN[metric], *values)
    shown.add_row("parameters", *(f"{row.parameters:,}" for row in rows))
    shown.add_row("seconds", *(f"{row.seconds:,.0f}" for row in rows))
    return shown
