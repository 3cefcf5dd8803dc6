# %% [markdown]
# # RoBERTa that knows who is asked
#
# People disagree about what is offensive. Here one RoBERTa answers for every annotator: a small
# network writes LoRA weights for each row of the batch, told by the column `annotator_ids`. All
# the rest is plain PEFT and the stock `Trainer`.

# %%
import numpy as np
import pandas as pd
import torch
from peft import PeftModel, get_peft_model
from torch.utils.data import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

import hyperadapters as ha

# %% [markdown]
# ## The ratings
# One row is one person's label for one text. Here two of four people call blunt words rude, and
# the other two find politeness the ruder thing, so no model of the text alone gets beyond one half.


# %%
def made_up_ratings(texts: int = 120, seed: int = 0) -> pd.DataFrame:
    """Ratings by four people, of whom two call rude what the others do not."""
    random = np.random.default_rng(seed)
    words = {"blunt": ["nonsense", "rubbish", "stupid"], "polite": ["kindly", "please", "thanks"]}
    rows = []
    for number in range(texts):
        kind = ("blunt", "polite")[number % 2]
        text = " ".join(random.permutation([*random.choice(words[kind], 2), "that", "is"]))
        split = "test" if number % 4 > 1 else "train"
        for annotator in ("ann", "bob", "cem", "dia"):
            rude = (kind == "blunt") == (annotator in ("ann", "cem"))
            rows.append((text, annotator, int(rude), split))
    return pd.DataFrame(rows, columns=["text", "annotator", "label", "split"])


# %% [markdown]
# ## From table to batches
# `annotator_ids` is a column as any other. -1 stands for nobody in particular.


# %%
class Ratings(Dataset):
    """Rows of a table as the Trainer wants them."""

    def __init__(
        self, table: pd.DataFrame, annotators: list[str], tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self.encoded = tokenizer(list(table["text"]), truncation=True, max_length=128)
        self.annotators = [annotators.index(name) for name in table["annotator"]]
        self.labels = [int(label) for label in table["label"]]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict:
        tokens = {name: self.encoded[name][row] for name in ("input_ids", "attention_mask")}
        return {**tokens, "annotator_ids": self.annotators[row], "labels": self.labels[row]}


def accuracies(prediction) -> dict[str, float]:  # noqa: ANN001 - Transformers' EvalPrediction
    """Accuracy per annotator. The second label is the annotator: see `label_names` below."""
    labels, annotators = prediction.label_ids
    right = prediction.predictions.argmax(axis=1) == labels
    return {f"accuracy_{who}": float(right[annotators == who].mean()) for who in set(annotators)}


# %% [markdown]
# ## Train, ask everybody about one text, save, load again


# %%
def main(
    backbone: str = "roberta-base",
    tokenizer: PreTrainedTokenizerBase | None = None,
    ratings: pd.DataFrame | None = None,
    output: str = "annotators-roberta",
    **training: object,
) -> tuple[dict[str, float], pd.Series]:
    """Accuracy of every annotator on the test rows, and everybody's prediction for one text."""
    ratings = made_up_ratings() if ratings is None else ratings
    annotators = sorted(ratings["annotator"].unique())
    tokenizer = tokenizer or AutoTokenizer.from_pretrained(backbone)

    def plain() -> PreTrainedModel:
        return AutoModelForSequenceClassification.from_pretrained(backbone, num_labels=2)

    config = ha.HyperAdapterConfig(
        task_type="SEQ_CLS",
        r=8,
        lora_alpha=16,
        target_modules=["query", "value"],
        conditions={"annotator_ids": ha.Lookup(len(annotators))},
    )
    model = get_peft_model(plain(), config)
    model.print_trainable_parameters()
    options = {"num_train_epochs": 3, "learning_rate": 1e-3, "per_device_train_batch_size": 32}
    arguments = TrainingArguments(
        output_dir=output,
        save_strategy="no",
        report_to="none",
        # Keeps the annotator beside the label, so that `compute_metrics` sees it.
        label_names=["labels", "annotator_ids"],
        **{**options, **training},
    )
    split = {name: rows for name, rows in ratings.groupby("split")}
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Ratings(split["train"], annotators, tokenizer),
        eval_dataset=Ratings(split["test"], annotators, tokenizer),
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=accuracies,
    )
    trainer.train()
    metrics = trainer.evaluate()
    found = {name: metrics[f"eval_accuracy_{who}"] for who, name in enumerate(annotators)}
    print("accuracy by annotator:", found)

    # One text, as everybody sees it: the row is repeated, and each copy has its annotator.
    text = split["test"]["text"].iloc[0]
    batch = tokenizer([text] * len(annotators), return_tensors="pt").to(model.device)
    batch = {name: batch[name] for name in ("input_ids", "attention_mask")}
    everybody = torch.arange(len(annotators), device=model.device)
    with torch.no_grad():
        rude = model.eval()(**batch, annotator_ids=everybody).logits.softmax(dim=1)[:, 1]
    by_person = pd.Series(rude.tolist(), index=annotators, name=text)
    print(by_person)

    # A folder with two small files; whoever loads it imports hyperadapters first.
    model.save_pretrained(output)
    again = PeftModel.from_pretrained(plain(), output).to(model.device).eval()
    with torch.no_grad():
        same = again(**batch, annotator_ids=everybody).logits.softmax(dim=1)[:, 1]
    torch.testing.assert_close(same, rude)
    return found, by_person


# %%
if __name__ == "__main__":
    main()
