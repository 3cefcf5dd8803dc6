"""PREDICTIONS to SCORES: metrics of single people, of whole texts, and of the doubt in both.

Nothing here sees a model, so the predictions of any other system can be scored too.
"""

from hyperadapters.evaluation.counts import CodedRows, Metric
from hyperadapters.evaluation.detail import annotator_scores, reliability
from hyperadapters.evaluation.evaluate import BETTER, METRICS, evaluate
from hyperadapters.evaluation.groups import GroupScores, group_scores
from hyperadapters.evaluation.helped import helped_and_hurt
from hyperadapters.evaluation.intervals import intervals
from hyperadapters.evaluation.jurors import choose_jurors
from hyperadapters.evaluation.jury import jury
from hyperadapters.evaluation.paired import paired_differences
from hyperadapters.evaluation.risk import risk_coverage

__all__ = [
    "BETTER",
    "METRICS",
    "CodedRows",
    "GroupScores",
    "Metric",
    "annotator_scores",
    "choose_jurors",
    "evaluate",
    "group_scores",
    "helped_and_hurt",
    "intervals",
    "jury",
    "paired_differences",
    "reliability",
    "risk_coverage",
]
