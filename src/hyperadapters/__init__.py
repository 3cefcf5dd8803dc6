"""hyperadapters: one small network writes adapter weights for a frozen Hugging Face model.

Importing the package registers the PEFT method; it loads neither torch nor PEFT by itself. The map
of the code, from the bottom up:

    errors, labels                          what can go wrong; what can be predicted
    tables, conditions, sites, tasks        files between stages; who or what; where; what is asked
    adapters, encoders                      the form that is generated; condition → vector
    hypernetworks, backbones, data          vector → weights; frozen models; tables → batches
    tuner                                   the PEFT method
    baselines, methods                      the published methods; one table of all methods
    training, inference, evaluation, export fit; predict; score; write LoRA folders
    reports                                 runs and comparisons as one HTML file
    experiments                             run folders: fit, load, predict
    cli                                     the command `hyperadapters`
"""

import importlib
from typing import TYPE_CHECKING, Any

from hyperadapters._registration import register_with_peft

if TYPE_CHECKING:
    from hyperadapters.conditions import (
        POPULATION,
        Attributes,
        Instance,
        Lookup,
        Vector,
        mixture,
    )
    from hyperadapters.data import SplitBy, read_annotations, read_attributes
    from hyperadapters.errors import HyperAdaptersError
    from hyperadapters.evaluation import (
        annotator_scores,
        evaluate,
        group_scores,
        helped_and_hurt,
        jury,
        paired_differences,
        reliability,
        risk_coverage,
    )
    from hyperadapters.evaluation.tasks import evaluate_tasks
    from hyperadapters.experiments import Run, compare, compare_unseen, fit, load
    from hyperadapters.experiments.tasks import TaskRun, fit_tasks, load_tasks
    from hyperadapters.export import export_lora, lora_of
    from hyperadapters.reports.build import report
    from hyperadapters.tables import read_submission, write_submission
    from hyperadapters.tasks import Task, read_mixture
    from hyperadapters.tuner import (
        Group,
        HyperAdapterConfig,
        adapter_network,
        calibrate,
        conditioned,
        shared_texts,
    )

__version__ = "0.1.0"

__all__ = [
    "POPULATION",
    "Attributes",
    "Group",
    "HyperAdapterConfig",
    "HyperAdaptersError",
    "Instance",
    "Lookup",
    "Run",
    "SplitBy",
    "Task",
    "TaskRun",
    "Vector",
    "__version__",
    "adapter_network",
    "annotator_scores",
    "calibrate",
    "compare",
    "compare_unseen",
    "conditioned",
    "evaluate",
    "evaluate_tasks",
    "export_lora",
    "fit",
    "fit_tasks",
    "group_scores",
    "helped_and_hurt",
    "jury",
    "load",
    "load_tasks",
    "lora_of",
    "mixture",
    "paired_differences",
    "read_annotations",
    "read_attributes",
    "read_mixture",
    "read_submission",
    "reliability",
    "report",
    "risk_coverage",
    "shared_texts",
    "write_submission",
]

_HOME = {
    "POPULATION": "conditions",
    "Attributes": "conditions",
    "Instance": "conditions",
    "Lookup": "conditions",
    "Vector": "conditions",
    "mixture": "conditions",
    "Group": "tuner",
    "HyperAdapterConfig": "tuner",
    "export_lora": "export",
    "lora_of": "export",
    "HyperAdaptersError": "errors",
    "adapter_network": "tuner",
    "calibrate": "tuner",
    "conditioned": "tuner",
    "shared_texts": "tuner",
    "annotator_scores": "evaluation",
    "evaluate": "evaluation",
    "group_scores": "evaluation",
    "helped_and_hurt": "evaluation",
    "jury": "evaluation",
    "reliability": "evaluation",
    "report": "reports.build",
    "risk_coverage": "evaluation",
    "paired_differences": "evaluation",
    "evaluate_tasks": "evaluation.tasks",
    "fit_tasks": "experiments.tasks",
    "load_tasks": "experiments.tasks",
    "TaskRun": "experiments.tasks",
    "Task": "tasks",
    "read_mixture": "tasks",
    "SplitBy": "data",
    "read_annotations": "data",
    "read_attributes": "data",
    "read_submission": "tables",
    "write_submission": "tables",
    "Run": "experiments",
    "compare": "experiments",
    "compare_unseen": "experiments",
    "fit": "experiments",
    "load": "experiments",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that the import stays light."""
    if name not in _HOME:
        raise AttributeError(f"module 'hyperadapters' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"hyperadapters.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


register_with_peft()
