"""Longer answers: summaries and translations."""

from hyperadapters.tasks.catalogue.parts import CONVERTED
from hyperadapters.tasks.generation import Generation
from hyperadapters.tasks.hub import Hub
from hyperadapters.tasks.task import Task

_ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum", "length")


def _summary(
    name: str, columns: tuple[str, str], hub: Hub, num_beams: int, references: str | None = None
) -> Task:
    document, summary = columns
    return Task(
        name,
        "text",
        f"{{{document}}}",
        summary,
        _ROUGE,
        prefix="summarize:",
        references=references,
        generation=Generation(num_beams=num_beams, max_new_tokens=60, min_new_tokens=10),
        hub=hub,
    )


def _translation(corpus: str, path: str, config: str, source: str, target: str) -> Task:
    languages = f"{_LANGUAGES[source]} to {_LANGUAGES[target]}"
    return Task(
        f"{corpus}-{source}-{target}",
        "text",
        f"{{{source}}}",
        target,
        ("bleu",),
        prefix=f"Translate {languages}",
        generation=Generation(num_beams=4, max_new_tokens=300),
        hub=Hub(
            path,
            config,
            revision=CONVERTED if corpus == "iwslt2017" else None,
            columns={code: f"translation.{code}" for code in (source, target)},
        ),
    )


_LANGUAGES = {
    "cs": "Czech",
    "en": "English",
    "fi": "Finnish",
    "hi": "Hindi",
    "nl": "Dutch",
    "ro": "Romanian",
}

SUMMARIES: tuple[Task, ...] = (
    _summary(
        "xsum",
        ("document", "summary"),
        Hub("EdinburghNLP/xsum", revision=CONVERTED),
        num_beams=6,
    ),
    _summary(
        "cnn_dailymail",
        ("article", "highlights"),
        Hub("abisee/cnn_dailymail", "3.0.0"),
        num_beams=4,
    ),
    _summary(
        "wiki_lingua_english_en",
        ("source", "target"),
        Hub("GEM/gem", "wiki_lingua_english_en", revision=CONVERTED),
        num_beams=4,
    ),
    _summary(
        "dialogsum",
        ("document", "target"),
        Hub(
            "knkarthick/dialogsum",
            columns={"document": "dialogue", "target": "summary", "references": "summary"},
        ),
        num_beams=4,
        references="references",
    ),
)

TRANSLATIONS: tuple[Task, ...] = (
    _translation("wmt16", "wmt/wmt16", "ro-en", "en", "ro"),
    _translation("wmt16", "wmt/wmt16", "ro-en", "ro", "en"),
    _translation("wmt16", "wmt/wmt16", "cs-en", "en", "cs"),
    _translation("wmt16", "wmt/wmt16", "fi-en", "en", "fi"),
    _translation("wmt14", "wmt/wmt14", "hi-en", "hi", "en"),
    _translation("iwslt2017", "IWSLT/iwslt2017", "iwslt2017-ro-nl", "ro", "nl"),
    _translation("iwslt2017", "IWSLT/iwslt2017", "iwslt2017-en-nl", "en", "nl"),
)
