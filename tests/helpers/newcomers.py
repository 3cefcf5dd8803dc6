"""People whom a run on `two_kinds` has never seen, and settings that learn what they are like."""

import numpy as np
import pandas as pd

LEARN = {
    **{"epochs": 12, "shared_epochs": 1, "patience": 12, "batch_size": 16, "r": 4},
    **{"deviation_learning_rate": 3e-3, "condition_learning_rate": 5e-2, "shrinkage": 0.05},
    **{
        "head_dropout": 0.0,
        "warmup_epochs": 0.0,
        "adapted_layers": 2,
        "deviating_layers": 1,
        "deviation": "lora",
    },
    **{"learning_rate": 1e-2, "max_length": 32},
}


def newcomers(table, n_labels=8):
    """Two people, one of each kind, who have labelled some of the texts of training."""
    texts = (
        table[table["split"] == "train"].drop_duplicates("text").sample(n_labels, random_state=1)
    )
    bad = texts["text_id"].str[1:].astype(int) % 2 == 1
    rows = [
        texts.assign(annotator=f"new {kind}", label=np.where(bad == (kind == "u"), "toxic", "fine"))
        for kind in "uv"
    ]
    return pd.concat(rows, ignore_index=True).drop(columns="split")


def answers(run, table, who):
    test = table[table["split"] == "test"].drop_duplicates("text")
    return run.predict(test.drop(columns=["label", "annotator", "split"]), who)
