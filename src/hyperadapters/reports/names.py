"""What metrics are called where people read them."""

SHOWN = {
    "nll": "nll",
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "annotator_macro_f1": "annotator macro-F1",
    "annotator_macro_f1_p10": "its 10th percentile",
    "minority_accuracy": "minority accuracy",
    "mae": "mean distance",
    "soft_manhattan": "soft Manhattan",
    "disagreement_pearson": "disagreement r",
    "ece": "ECE",
}
"""Metrics of the table, and what they are called there."""

FURTHER = {
    "annotator_macro_f1_weighted": "annotator macro-F1, by rows",
    "annotator_macro_f1_median": "annotator macro-F1, median",
    "annotator_macro_f1_worst_decile": "its worst tenth",
    "annotator_macro_f1_min": "its lowest",
    "annotator_error_rate": "annotator error rate",
    "annotator_nll": "annotator nll",
    "annotator_brier": "annotator Brier",
    "annotator_ece": "annotator ECE",
    "error_rate": "error rate by text",
    "absolute_distance": "scaled distance by text",
    "hamming_loss": "Hamming loss by text",
    "soft_wasserstein": "soft Wasserstein",
    "soft_marginal_manhattan": "soft Manhattan by single label",
    "soft_jensen_shannon": "soft Jensen-Shannon",
    "soft_cross_entropy": "soft cross-entropy",
    "majority_macro_f1": "majority macro-F1",
    "hard_micro_f1": "majority micro-F1",
    "disagreement_spearman": "disagreement rho",
    "contested_auroc": "contested AUROC",
    "disagreement_bias": "disagreement, bias",
    "brier": "Brier",
    "coverage_annotators": "annotators scored",
    "coverage_rows": "rows of these",
}
"""Metrics of the second table, and what they are called there."""

NAMES = {**SHOWN, **FURTHER}

ARROWS = {"higher": " ↑", "lower": " ↓", "neither": ""}
"""Which direction is better, as it stands behind the name of a metric."""
