"""Arguments that several commands share: files, backbone, what the columns are called."""

from pathlib import Path
from typing import Annotated, Final

import typer

# Of list type, as Typer wants an option that may be given several times.
TEXT: Final = ["text"]

Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="Ratings: CSV, TSV, JSONL, Parquet or LeWiDi JSON; several are read as one table.",
        show_default=False,
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.", show_default=False)]
People = Annotated[
    list[str],
    typer.Option(
        "--annotator",
        metavar="ID",
        help="Id of a person; may be given several times.",
        show_default=False,
    ),
]
Backbone = Annotated[
    str,
    typer.Option(
        "--backbone",
        metavar="B",
        help="minilm (built in), or the name or folder of a Hugging Face model.",
    ),
]
Text = Annotated[
    list[str],
    typer.Option(
        "--text", help="Column of the text; given twice for pairs of texts.", metavar="COLUMN"
    ),
]
Annotator = Annotated[
    str, typer.Option("--annotator", help="Column of the annotator.", metavar="COLUMN")
]
Label = Annotated[str, typer.Option("--label", help="Column of the label.", metavar="COLUMN")]
Item = Annotated[
    str,
    typer.Option(
        "--item",
        help="Column of the text's id; without such a column, ids are made from the texts.",
        metavar="COLUMN",
    ),
]
Split = Annotated[
    str,
    typer.Option(
        "--split", help="Column of the split (train, dev, test), if any.", metavar="COLUMN"
    ),
]
SplitBy = Annotated[
    str,
    typer.Option(
        "--split-by",
        metavar="text|annotator|both",
        help="What train and test have not in common: texts; annotators, those of --fold being "
        "held out; or both, test being what these say of the texts of test.",
    ),
]
Fold = Annotated[
    str,
    typer.Option("--fold", metavar="N", help="Number of the fold of annotators who are held out."),
]
Folds = Annotated[
    str,
    typer.Option(
        "--folds",
        metavar="N|COLUMN",
        help="Into how many folds annotators are dealt, or the column that says which is whose.",
    ),
]
_ATTRIBUTE_HELP: Final = (
    "Column that describes annotators; may be given several times. Nothing is told of people that "
    "is not named here; "
)
Attributes = Annotated[
    list[str] | None,
    typer.Option(
        "--attribute",
        help=_ATTRIBUTE_HELP + "with it, hyperlora is hyperlora+attributes.",
        metavar="COLUMN",
        show_default=False,
    ),
]
ComparedAttributes = Annotated[
    list[str] | None,
    typer.Option(
        "--attribute",
        help=_ATTRIBUTE_HELP + "of --methods, hyperlora+attributes and attributes-only are told.",
        metavar="COLUMN",
        show_default=False,
    ),
]
AttributesFile = Annotated[
    Path | None,
    typer.Option(
        "--attributes",
        metavar="FILE",
        help="Attributes of annotators: a table of people, or ratings with such columns.",
        show_default=False,
    ),
]
AllowLeaks = Annotated[
    bool,
    typer.Option("--allow-leaks", help="Go on although a text stands in more than one split."),
]

JoinLabels = Annotated[
    bool,
    typer.Option(
        "--join-labels",
        help="Several labels of an annotator for a text are one label, as contradiction+neutral.",
    ),
]

FORMAT_NAMES: Final = "lewidi-soft, lewidi-perspectivist, lewidi-2023, perseval"
TaskLabels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="LABEL,LABEL,...",
        help="Every label of the task in the order of the file, where some of them do not occur.",
        show_default=False,
    ),
]

# Kept here as words, for `--help` must not wait for torch; a test compares them with the table.
METHOD_NAMES: Final = (
    "hyperlora, hyperlora-paper, hyperlora+attributes, attributes-only, text-only, intercept, "
    "annotator-embedding, multi-head, user-token, lora-per-annotator, majority, global-mode, "
    "annotator-mode"
)
