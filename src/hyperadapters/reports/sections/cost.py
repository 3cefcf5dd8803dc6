"""What methods cost: parameters, seconds, and how parameters grow with people."""

import numpy as np
import pandas as pd

from hyperadapters.reports.figures.curves import draw_parameters
from hyperadapters.reports.markup import Markup, counted, table
from hyperadapters.reports.picture import Picture, Section
from hyperadapters.reports.source import Source
from hyperadapters.reports.vectors import lora_size, shapes_of

SEPARATE = "lora-per-annotator"
_HEAD = "base_model.model."


def cost(source: Source) -> Section:
    """The table of costs, and parameters against the number of annotators."""
    parts: list[Markup | list[Picture]] = [_table(source)]
    picture, why = _growth(source)
    if picture is None:
        return Section("cost", "Cost", parts, [f"Parameters against annotators: {why}"])
    return Section("cost", "Cost", [*parts, [picture]])


def _table(source: Source) -> Markup:
    rows = []
    for name in source.methods:
        runs = source.folder.of(name)
        found = runs[0].results
        n = int(runs[0].record.get("data", {}).get("annotators", 0))
        own = found.get("condition_parameters")
        each = f"{own / n:,.0f}" if own and n else "-"
        seconds = [run.results["seconds"] for run in runs if "seconds" in run.results]
        rows.append(
            [
                *(name, f"{found.get('trainable_parameters', 0):,}", each),
                f"{np.mean(seconds):,.0f}" if seconds else "-",
                f"{len(runs)}",
            ]
        )
    heads = ["method", "trained parameters", "of them for each annotator", "seconds", "seeds"]
    caption = "Cost of a run: training, prediction and scores, mean over seeds"
    return table(caption, heads, rows)


def _growth(source: Source) -> tuple[Picture | None, str]:
    """How parameters of the method and of one LoRA per person grow with people."""
    results, n = source.run.results, int(source.run.record.get("data", {}).get("annotators", 0))
    own, total = results.get("condition_parameters", 0), results.get("trainable_parameters", 0)
    if not own or not n:
        return None, f"{source.method} has no parameters of single annotators."
    if source.method == SEPARATE:
        return None, f"{source.method} is the method that others are compared with."
    head, size, measured = _separate(source, n)
    if not size:
        return None, f"{source.method} has no LoRA whose size could be taken."
    shared, each = total - own, own / n
    crossing = (shared - head) / (size - each) if size > each and shared > head else float("nan")
    most = max(10 * n, 10 * crossing if np.isfinite(crossing) else 0)
    people = np.unique(np.geomspace(1, most, 60).round().astype(int))
    separate = "one LoRA per annotator"
    data = pd.DataFrame(
        {
            "annotators": people,
            source.method: shared + each * people,
            separate: head + size * people,
        }
    )
    at_crossing = "They do not cross."
    if np.isfinite(crossing):
        at_crossing = f"They cross at {counted(int(np.ceil(crossing)), 'annotator')}."
    caption = (
        f"{source.method} trains {shared:,} parameters that people share and {each:,.0f} for each "
        f"of them; one LoRA per annotator {head:,.0f} and {size:,.0f} ({measured}). {at_crossing}"
    )
    return (
        Picture(
            "parameters",
            "Parameters and annotators",
            caption,
            data,
            lambda axes: draw_parameters(axes, data, crossing, n),
            4.0,
        ),
        "",
    )


def _separate(source: Source, n: int) -> tuple[float, float, str]:
    """Shared parameters and those of each person with a LoRA of their own; how they are known."""
    runs = source.folder.of(SEPARATE)
    own = runs[0].results.get("condition_parameters", 0) if runs else 0
    if own:
        shared = runs[0].results["trainable_parameters"] - own
        return float(shared), own / n, f"as {SEPARATE} of this comparison has them"
    shapes = shapes_of(source.run)
    head = sum(int(np.prod(shape)) for name, shape in shapes.items() if name.startswith(_HEAD))
    size = lora_size(shapes)
    return (
        float(head),
        float(size),
        "of the rank and at the layers of the shared one, with the same head",
    )
