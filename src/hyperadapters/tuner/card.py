"""What the model card says about using the adapter."""

from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import ModelCard

from hyperadapters.conditions import Attributes, Condition, Instance, Lookup, Vector

TAGS = ("hyperadapters", "hypernetwork")
START, END = "<!-- hyperadapters: start -->", "<!-- hyperadapters: end -->"
_CLASSES = {
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
}


def write_usage(
    folder: Path, conditions: Mapping[str, Condition], task: str | None, backbone: str | None
) -> None:
    """Add tags and a snippet to the `README.md` that PEFT wrote into the folder, if it did.

    Writing again replaces what was written before.
    """
    file = folder / "README.md"
    if not file.is_file():
        return
    card = ModelCard.load(file)
    card.data["tags"] = sorted({*(card.data.get("tags") or []), *TAGS})
    section = "\n".join([START, *_section(conditions, task, backbone), END])
    text = card.text
    if START in text and END in text:
        before, _, rest = text.partition(START)
        text = before + section + rest.partition(END)[2]
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    card.text = text
    card.save(file)


def _section(
    conditions: Mapping[str, Condition], task: str | None, backbone: str | None
) -> list[str]:
    model_class = _CLASSES.get(str(getattr(task, "value", task)), "AutoModel")
    lines = [
        "## How to use this adapter",
        "",
        "Its weights are written by a hypernetwork for every row of the batch. It needs its",
        "package: `pip install hyperadapters`.",
        "",
        "```python",
        "import hyperadapters  # registers the PEFT method",
        "from peft import PeftModel",
        f"from transformers import {model_class}, AutoTokenizer",
        "",
        f'backbone = {model_class}.from_pretrained("{backbone or "..."}")',
        'model = PeftModel.from_pretrained(backbone, "<this folder>")',
    ]
    keywords = [f"{n}={_example(c)}" for n, c in conditions.items() if _example(c)]
    lines += [f"model(**inputs{''.join(', ' + keyword for keyword in keywords)})", "```", ""]
    if conditions:
        lines += ["It adapts to:", ""]
        lines += [f"- `{name}`: {_described(c)}" for name, c in conditions.items()]
        lines += ["", _PRIVACY] if any(_personal(c) for c in conditions.values()) else []
    return lines


_PRIVACY = (
    "The vectors in this folder may stand for single people. Which index or value is whose is not "
    "part of it."
)


def _example(condition: Condition) -> str:
    if isinstance(condition, Lookup):
        return f"[{min(17, condition.size - 1)}]"
    if isinstance(condition, Vector):
        return "embeddings"
    return "attributes" if isinstance(condition, Attributes) else ""


def _described(condition: Condition) -> str:
    if isinstance(condition, Lookup):
        return f"one of {condition.size}, as an index; -1 is unknown ({condition.unknown})"
    if isinstance(condition, Attributes):
        sizes = zip(condition.names, condition.sizes, strict=True)
        return "attributes " + ", ".join(f"{name} ({size} values)" for name, size in sizes)
    if isinstance(condition, Vector):
        return f"a vector of width {condition.width}"
    if isinstance(condition, Instance):
        return "the input itself; nothing needs to be passed"
    return str(condition)


def _personal(condition: Condition) -> bool:
    return isinstance(condition, Lookup | Attributes | Vector)
