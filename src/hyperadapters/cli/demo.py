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

    console = Console(highlight=False)
    console.print(
        "\n[bold]SIMULATED DATA[/bold]: 720 comments written for this demo, rated by 40 invented "
        "people whose rules are known.\nNothing here says how well the method does on real people."
    )
    console.print(_score_table(result))
    ours, best_other = _recoveries(result)
    console.print(
        f"[bold]Perspectives recovered: {ours:.2f}[/bold] (correlation of each person's predicted "
        "deviation from the average\nwith the true one, test texts × 40 people; 1 is perfect, "
        f"0 treats all people alike; next best method {best_other:.2f})\n"
    )
    _show_texts(result.texts, console)
    console.print(
        f"\nRuns are in {folder}. Next:\n"
        f"  hyperadapters predict {folder}/hyperlora --input comments.csv --output out.csv "
        "--annotators all",
        soft_wrap=True,
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
    )
    table.add_column("method", no_wrap=True)
    headings = {
        "accuracy": "accuracy",
        "macro_f1": "macro-F1",
        "annotator_macro_f1": "annotator\nmacro-F1",
        "nll": "nll ↓",
        "minority_accuracy": "minority\naccuracy",
        "correlation": "perspectives\nrecovered",
    }
    values = result.scores.join(result.recovery)
    for heading in headings.values():
        table.add_column(heading, justify="right")
    for method, row in values.iterrows():
        table.add_row(str(method), *(f"{row[name]:.3f}" for name in headings))
    return table


def _show_texts(texts: Any, console: Any) -> None:
    console.print("Three held-out comments, three people: probability of [bold]toxic[/bold]\n")
    for text, rows in texts.groupby("text", sort=False):
        console.print(f"  “{text}”", markup=False)
        for row in rows.itertuples():
            mark = "toxic" if row.predicted > 0.5 else "fine"
            filled = round(row.predicted * 20)
            console.print(
                f"    {row.annotator:<10} {row.kind:<16} {'█' * filled}{'·' * (20 - filled)} "
                f"{row.predicted:.2f} {mark:<5}  (by the rule {row.true:.2f})",
                markup=False,
            )
        console.print()
