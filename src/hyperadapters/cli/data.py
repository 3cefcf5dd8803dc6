"""`hyperadapters data`: look at a table of ratings, and exchange predictions with others.

pandas is imported inside the functions, so that ``--help`` does not wait for it.
"""

from typing import TYPE_CHECKING, Any

import typer

from hyperadapters.cli import submit
from hyperadapters.cli.options import (
    TEXT,
    AllowLeaks,
    Annotator,
    Files,
    Item,
    JoinLabels,
    Label,
    Split,
    Text,
)

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(
    help="Look at data before training on it; hand predictions to others.", no_args_is_help=True
)
app.command()(submit.submit)

MAX_LABELS_SHOWN = 12


@app.callback()
def data() -> None:
    """Look at data before training on it; hand predictions to others."""


@app.command()
def check(
    files: Files,
    text: Text = TEXT,
    annotator: Annotator = "annotator",
    label: Label = "label",
    item: Item = "text_id",
    split: Split = "split",
    allow_leaks: AllowLeaks = False,
    join_labels: JoinLabels = False,
) -> None:
    """Show what is in the table: rows, annotators, labels, agreement, problems."""
    from hyperadapters.data.readers import read_annotations
    from hyperadapters.tables.describe import describe

    # Leaks are shown below rather than refused: looking is what this command is for.
    frame = read_annotations(
        *files,
        text=text,
        annotator=annotator,
        label=label,
        item=item,
        split=split,
        allow_leaks=True,
        join_labels=join_labels,
    )
    _show(describe(frame), ", ".join(map(str, files)), leaks_accepted=allow_leaks)


def _show(description: Any, source: str, *, leaks_accepted: bool) -> None:
    from rich.console import Console
    from rich.text import Text as Styled

    console = Console()
    console.print(Styled(source, "bold"), soft_wrap=True)
    console.print(_overview(description))
    console.print()
    console.print(_labels(description))
    console.print()
    if description.splits:
        console.print(_splits(description))
        console.print()
    problems = _problems(description, leaks_accepted=leaks_accepted)
    for problem in problems:
        console.print(Styled(f"! {problem}", "yellow"), soft_wrap=True)
    if not problems:
        console.print(Styled("no problems found", "green"))


def _overview(description: Any) -> "Table":
    least, median, most = description.rows_per_annotator
    contested, alpha = description.contested, description.alpha
    rows = [
        ("rows", f"{description.rows:,}"),
        ("pairs of texts" if description.has_pairs else "texts", f"{description.texts:,}"),
        ("annotators", f"{description.annotators:,}"),
        ("rows per annotator", f"{least:,} to {most:,}, median {median:,g}"),
        ("ratings per text", f"{description.ratings_per_text:.1f}"),
        ("contested texts", "no text has 2 ratings" if contested is None else f"{contested:.1%}"),
        (
            "Krippendorff's alpha",
            "undefined" if alpha is None else f"{alpha:.2f} ({description.label_kind})",
        ),
    ]
    table = _table("", "")
    for row in rows:
        table.add_row(*row)
    return table


def _labels(description: Any) -> "Table":
    from rich.text import Text as Styled

    table = _table("label", "share", "")
    shares = list(description.label_shares.items())
    for name, share in shares[:MAX_LABELS_SHOWN]:
        table.add_row(Styled(str(name)), f"{share:.1%}", "#" * round(30 * share))
    if len(shares) > MAX_LABELS_SHOWN:
        rest = sum(share for _, share in shares[MAX_LABELS_SHOWN:])
        table.add_row(f"{len(shares) - MAX_LABELS_SHOWN} more", f"{rest:.1%}", "")
    return table


def _splits(description: Any) -> "Table":
    table = _table("split", "rows", "texts", "annotators", "not in train", "their rows")
    for split in description.splits:
        table.add_row(
            split.name,
            f"{split.rows:,}",
            f"{split.texts:,}",
            f"{split.annotators:,}",
            f"{split.unseen_annotators:,}",
            f"{split.unseen_rows / split.rows:.1%}",
        )
    return table


def _table(*columns: str) -> "Table":
    """A table without frame, so that it reads the same in a terminal and in a pipe."""
    from rich.table import Table

    table = Table(
        box=None,
        show_header=any(columns),
        header_style="bold",
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for index, column in enumerate(columns):
        is_number = index > 0 and column != ""
        table.add_column(column, justify="right" if is_number else "left")
    return table


def _problems(description: Any, *, leaks_accepted: bool) -> list[str]:
    problems = []
    if description.leaks:
        advice = "accepted" if leaks_accepted else "move them, or train with --allow-leaks"
        n_leaks = f"{description.leaks} {'text' if description.leaks == 1 else 'texts'}"
        problems.append(f"{n_leaks} in more than one split (leak): {advice}")
    if description.contested is None:
        problems.append("no text has 2 ratings: agreement cannot be measured")
    if description.rows_per_annotator[1] < 5:
        problems.append("half of the annotators have fewer than 5 rows: little to learn about them")
    problems += [
        f"{split.name}: {split.unseen_annotators:,} of {split.annotators:,} annotators"
        f" have no row in train ({split.unseen_rows:,} of {split.rows:,} rows)"
        for split in description.splits
        if split.unseen_rows
    ]
    return problems
