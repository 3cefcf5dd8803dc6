"""A folder of runs in, a page out."""

import base64
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from hyperadapters.errors import ConfigError, RunError
from hyperadapters.evaluation.attributes import values_by_annotator
from hyperadapters.reports.folders import Folder, open_folder
from hyperadapters.reports.markup import Markup, element, items, joined, paragraph
from hyperadapters.reports.page import contents, page
from hyperadapters.reports.picture import Picture, Section
from hyperadapters.reports.render import inline, require_matplotlib, to_bytes
from hyperadapters.reports.source import Source
from hyperadapters.reports.vectors import attributes_of
from hyperadapters.tables.scores import refuse_to_overwrite, replacing
from hyperadapters.tables.spreadsheet import for_spreadsheets

LARGEST_DOWNLOAD = 150_000
"""Bytes of numbers that a page holds for one picture; more are written with `figures` only."""


def report(
    path: str | PathLike[str],
    output: str | PathLike[str],
    *,
    ratings: pd.DataFrame | None = None,
    attributes: pd.DataFrame | None = None,
    by: Sequence[str] = (),
    method: str | None = None,
    baseline: str | None = None,
    figures: str | PathLike[str] | None = None,
    command: str = "",
) -> Path:
    """One HTML file about a run, a comparison, or a run on tasks; it needs nothing from elsewhere.

    Args:
        path: A run folder, or a folder of runs such as `compare` makes.
        output: The file to write.
        ratings: ANNOTATIONS that the runs were made with: agreement and counts of all of them,
            leaks, the words of contested texts.
        attributes: A table with a column ``annotator`` and columns of attributes; by default
            what a run was told of its annotators.
        by: The attributes to group people by; by default those that a run was told.
        method: The method to look at closely; by default that with the lowest nll.
        baseline: What it is compared with; by default the first of text-only, intercept,
            majority, global-mode and annotator-mode that is there.
        figures: A folder to write every picture to as well, as SVG and PNG, with its data as CSV.
        command: The command to show as the one that made the report.

    Returns:
        The file.

    Raises:
        ConfigError: Matplotlib is missing, or a method, baseline or attribute is not there.
        DataError: A table is at fault, or the ratings are of other texts.
        RunError: There is no finished run, or the output is there already.
    """
    require_matplotlib()
    output = Path(output)
    refuse_to_overwrite(output)
    folder = open_folder(Path(path))
    if figures is not None and Path(figures).exists() and any(Path(figures).iterdir()):
        raise RunError(f"{figures} is not empty; name another folder")
    options = {"method": method, "baseline": baseline, "by": by or None}
    sections = _sections(folder, ratings, attributes, options)
    title = f"Report on {folder.path.resolve().name}"
    whole = page(title, *_body(folder, sections, command))
    with replacing(output, overwrite=False) as part:
        part.write_text(whole, encoding="utf-8")
    if figures is not None:
        _write_figures(sections, Path(figures))
    return output


def _sections(
    folder: Folder,
    ratings: pd.DataFrame | None,
    attributes: pd.DataFrame | None,
    options: dict,
) -> list[Section]:
    # Here, for they draw: Matplotlib must not be imported before it is known to be there.
    from hyperadapters.reports.sections import ABOUT_ANNOTATORS
    from hyperadapters.reports.sections.tasks import task_sections

    if folder.about == "tasks":
        given = {**options, "ratings": ratings, "attributes": attributes}
        if wrong := [name for name, value in given.items() if value is not None]:
            raise ConfigError(f"{folder.path} is about tasks: {wrong[0]} has no meaning there")
        return task_sections(folder)
    source = Source(
        folder, ratings, wanted_method=options["method"], wanted_baseline=options["baseline"]
    )
    source.attributes, source.by = _attributes(source, ratings, attributes, options["by"] or ())
    return [section(source) for section in ABOUT_ANNOTATORS]


def _attributes(
    source: Source,
    ratings: pd.DataFrame | None,
    attributes: pd.DataFrame | None,
    by: Sequence[str],
) -> tuple[pd.DataFrame | None, Sequence[str]]:
    """The table of attributes, and those that people are grouped by."""
    if by:
        table = attributes if attributes is not None else ratings
        if table is None:
            raise ConfigError("to group people by an attribute, name a table of attributes")
        values_by_annotator(table, by)  # refuses what cannot be used, before the work
        return table, by
    if attributes is not None:
        raise ConfigError("a table of attributes is of use only with the attributes to group by")
    names, rows = attributes_of(source.run)
    return (pd.DataFrame(rows), names) if names else (None, ())


def _body(folder: Folder, sections: Sequence[Section], command: str) -> list[Markup]:
    shown = [section for section in sections if section.parts]
    links = [(section.name, section.title) for section in shown]
    missing = [what for section in sections for what in section.missing] + list(folder.left_out)
    if missing:
        links.append(("left-out", "What is left out"))
    body = [contents(links), *(_shown(section) for section in shown)]
    if missing:
        heading = element("h2", "What is left out", id="left-out")
        body.append(element("section", heading, items(missing), aria_labelledby="left-out"))
    if command:
        made = paragraph("This page was made by ", element("code", command))
        body.append(element("footer", made))
    return body


def _shown(section: Section) -> Markup:
    parts = [
        part if isinstance(part, Markup) else element("div", *map(_figure, part), class_="pictures")
        for part in section.parts
        if isinstance(part, Markup) or part
    ]
    heading = element("h2", section.title, id=section.name)
    return element("section", heading, *parts, aria_labelledby=section.name)


def _figure(picture: Picture) -> Markup:
    caption = element("figcaption", paragraph(picture.caption), _download(picture))
    return element("figure", element("h3", picture.title), inline(picture), caption)


def _download(picture: Picture) -> Markup:
    numbers = _csv(picture)
    if len(numbers) > LARGEST_DOWNLOAD:
        what = f"Data: {len(picture.data):,} rows, written with --figures DIR only."
        return element("p", what, class_="down")
    where = "data:text/csv;base64," + base64.b64encode(numbers).decode()
    name = f"{picture.name}.csv"
    link = element("a", f"Data of “{picture.title}” (CSV)", href=where, download=name)
    return element("p", joined([link]), class_="down")


def _csv(picture: Picture) -> bytes:
    return (
        for_spreadsheets(picture.data)
        .to_csv(index=False, lineterminator="\n")
        .encode(errors="replace")
    )


def _write_figures(sections: Sequence[Section], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for picture in (p for section in sections for p in section.pictures):
            for kind in ("svg", "png"):
                (folder / f"{picture.name}.{kind}").write_bytes(to_bytes(picture, kind))
            (folder / f"{picture.name}.csv").write_bytes(_csv(picture))
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror}") from error
