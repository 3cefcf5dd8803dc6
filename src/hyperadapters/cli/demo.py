"""`hyperadapters demo`: the main job on built-in, simulated data."""

from pathlib import Path
from typing import Annotated, Any

import typer


def demo(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="DIR",
            help="Folder to make; by default demo-run, or the next free name.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train on built-in simulated ratings, compare methods, show how three people differ.

    Takes about two minutes on two cores and needs no network.
    """
    from hyperadapters.cli.progress import shown_progress
    from hyperadapters.experiments.demo import run_demo
    from hyperadapters.experiments.folder import refuse_existing

    folder = output or _free_name(Path("demo-run"))
    refuse_existing(folder)
    with shown_progress() as progress:
        result = run_demo(folder, progress)
    _show(result, folder)


def _free_name(wanted: Path) -> Path:
    candidate, number = wanted, 1
    while candidate.exists():
        number += 1
        candidate = wanted.with_name(f"{wanted.name}-{number}")
    return candidate


def _show(result: Any, folder: Path) -> None:
    from rich.console import Console

    from hyperadapters.experiments.demo import COMMENTS, RATINGS

    console = Console(highlight=False)
    console.print(
        "\n[bold]SIMULATED DATA[/bold]: 720 comments written for this demo, rated by 40 invented\n"
        "people whose rules are known. It shows that the method works, not how well it\n"
        "would do on real people."
    )
    console.print(_score_table(result))
    ours, best_other = _recoveries(result)
    console.print(
        f"[bold]Perspectives recovered: {ours:.2f}[/bold] (next best method: {best_other:.2f}). "
        "This is the correlation\nof how far each person is predicted to be from the average with "
        "how far they\nreally are, over held-out comments and 40 people: 1 is perfect, 0 treats "
        "all alike.\n"
    )
    _show_texts(result.texts, console)
    run, output = f"{folder}/hyperlora", "--output"
    console.print(
        f"The runs are in {folder}; the ratings ({RATINGS}) and held-out comments ({COMMENTS})\n"
        "too. Next, a jury of nine, what everyone says, a page to ask them, a report:\n"
        f"  hyperadapters jury {run} --input {folder}/{COMMENTS} --draw 9 {output} verdicts.csv\n"
        f"  hyperadapters predict {run} --input {folder}/{COMMENTS} --annotators all \\\n"
        f"    {output} predictions.csv\n"
        f"  hyperadapters serve {run}\n"
        f"  hyperadapters report {folder} --data {folder}/{RATINGS} {output} report.html",
        soft_wrap=True,
        markup=False,
    )


def _recoveries(result: Any) -> tuple[float, float]:
    correlation = result.recovery["correlation"]
    return float(correlation.iloc[0]), float(correlation.iloc[1:].max())


def _score_table(result: Any) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(
        title="Test split (simulated ratings)",
        title_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
    )
    table.add_column("method", no_wrap=True)
    headings = {
        "accuracy": "accuracy",
        "macro_f1": "macro-F1",
        "annotator_macro_f1": "per person",
        "nll": "nll ↓",
        "minority_accuracy": "minority",
        "correlation": "recovered",
    }
    values = result.scores.join(result.recovery)
    for heading in headings.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for method, row in values.iterrows():
        table.add_row(str(method), *(f"{row[name]:.3f}" for name in headings))
    return table


def _show_texts(texts: Any, console: Any) -> None:
    import textwrap

    console.print("Three held-out comments, three people: how probable is [bold]toxic[/bold]?\n")
    for text, rows in texts.groupby("text", sort=False):
        quoted = textwrap.fill(f"“{text}”", 76, initial_indent="  ", subsequent_indent="   ")
        console.print(quoted, markup=False)
        for row in rows.itertuples():
            filled = round(row.predicted * 20)
            console.print(
                f"    {row.annotator:<9} {row.kind:<15} {'█' * filled}{'·' * (20 - filled)} "
                f"{row.predicted:.2f}  by the rule {row.true:.2f}",
                markup=False,
            )
        console.print()
