"""What `perspectives.py` runs: methods, data sets, seeds and budgets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

COMMAND = "python benchmarks/perspectives.py --data ../shared/data/perspectives"
OURS = "hyperlora"
WITH_LORA = "hyperlora, deviation=lora"
METHODS = (
    *("hyperlora", WITH_LORA, "hyperlora-paper", "annotator-embedding", "multi-head", "user-token"),
    *("lora-per-annotator", "intercept", "text-only", "majority", "annotator-mode", "global-mode"),
    *("hyperlora+attributes", "attributes-only"),
)
DESCRIBED = ("hyperlora+attributes", "attributes-only")
"""Methods that are told attributes; they run where annotators have some."""
# Nothing of the text is shared between annotators: one seed is what two cores can do.
ONE_SEED = (WITH_LORA, "hyperlora-paper", "user-token", "lora-per-annotator", *DESCRIBED)
SHARED: Mapping[str, Any] = {"precision": "bfloat16"}
"""Settings of all methods, for the sake of time."""

# The published recipe trains for 20 epochs at all layers: more than two cores can do for all sets.
BUDGET: Mapping[str, Mapping[str, Any]] = {
    "hyperlora-paper": {"epochs": 2, "evaluations_per_epoch": 1},
    "user-token": {"epochs": 3},
    WITH_LORA: {"deviation": "lora"},
}
METRICS = {
    "nll": "nll ↓",
    "macro_f1": "macro-F1 ↑",
    "annotator_macro_f1": "annotator macro-F1 ↑",
    "minority_accuracy": "minority accuracy ↑",
}
DIFFERENCES = ("nll", "macro_f1", "annotator_macro_f1", "minority_accuracy", "accuracy")


@dataclass(frozen=True)
class SharedTask:
    """How LeWiDi 2025 scores a data set, and what others reached on these test rows.

    Attributes:
        decision: The answer that its task B asks for; see `LabelSpace.decide`.
        soft: Metric of task A.
        perspectivist: Metric of task B.
        published: System → its score in task B (Sorensen & Choi 2025, "Opt-ICL at LeWiDi-2025",
            table of results).
    """

    decision: str
    soft: str
    perspectivist: str
    published: Mapping[str, float]


PARAPHRASE = SharedTask(
    *("median", "soft_wasserstein", "absolute_distance"),
    {
        "twinhter, first": 0.080,
        "Opt-ICL": 0.119,
        "each person's most frequent label, the organisers' baseline": 0.362,
    },
)
VARIERR = SharedTask(
    *("marginal", "soft_marginal_manhattan", "hamming_loss"),
    {
        "twinhter, first": 0.124,
        "Opt-ICL": 0.270,
        "no label at all, the organisers' baseline": 0.345,
    },
)


@dataclass(frozen=True)
class Source:
    """How a data set is read.

    Attributes:
        seeds: The seeds of its runs.
        text: Column of the text, or two of a pair.
        without: Labels that are no answer.
        further: Metrics that its table shows beside the others.
        join_labels: Whether several labels of a person for a text are one answer.
        shared_task: How a shared task scores it, on its own splits.
        attributes: What is known of its annotators.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    text: tuple[str, ...] = ("text",)
    without: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    join_labels: bool = False
    shared_task: SharedTask | None = None
    attributes: tuple[str, ...] = ()


OF_SCALES = ("soft_wasserstein", "absolute_distance")
DATASETS = {
    "popquorn_offensiveness": Source(
        attributes=("gender", "race", "age", "occupation", "education")
    ),
    "crehate": Source(
        without=("2",),  # don't know
        attributes=(
            "nationality",
            "age",
            "education",
            "ethnicity",
            "gender",
            "politic",
            "religion",
        ),
    ),
    "md_agreement": Source(),
    "hs_brexit": Source(),
    "convabuse": Source(),
    "csc_devtest": Source((0,), further=OF_SCALES),
    "paraphrase": Source((0,), ("Question1", "Question2"), shared_task=PARAPHRASE),
    "varierr_nli": Source((0,), join_labels=True, shared_task=VARIERR),
    "dense_toxicity": Source((0,), attributes=("race", "age", "gender", "political")),
    "hatecheck": Source((0,), further=("accuracy",)),
}


@dataclass(frozen=True)
class Cell:
    """One run of the grid."""

    dataset: str
    method: str
    seed: int

    @property
    def folder(self) -> str:
        """Its folder below --runs."""
        return f"{self.dataset}/{self.method.replace(', ', '-')}/seed-{self.seed}"


def cells() -> Iterator[Cell]:
    """All runs; first the first seed of all methods, those last that take long."""
    for long in (False, True):
        for seed in (0, 1, 2):
            for dataset, source in DATASETS.items():
                for method in METHODS:
                    if method in DESCRIBED and not source.attributes:
                        continue
                    seeds = source.seeds[:1] if method in ONE_SEED else source.seeds
                    if seed in seeds and (method in ONE_SEED) == long:
                        yield Cell(dataset, method, seed)
