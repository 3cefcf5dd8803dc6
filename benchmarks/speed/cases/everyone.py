"""Texts × annotators: `predict`, beside the model itself on one row for each pair."""

import torch
from benchmarks.speed import models
from benchmarks.speed.pairs import in_pairs
from benchmarks.speed.real import ratings
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import Setting

from hyperadapters.backbones import use_fast_products
from hyperadapters.conditions import Vocabulary
from hyperadapters.data.batches import prediction_batches
from hyperadapters.inference import predict, rows_for
from hyperadapters.labels import LabelSpace
from hyperadapters.methods import AnnotatorClassifier, find_method
from hyperadapters.tables.frames import columns_of

DATASET = "popquorn_offensiveness"


@torch.no_grad()
def everyone(setting: Setting) -> list[Row]:
    """Each pair through the whole model / ours; on a CPU by PyTorch's products, then by ours."""
    sizes = setting.sizes
    table = ratings(setting.data, DATASET)
    asked = sorted(table["annotator"].unique())[: sizes.asked]
    vocabulary, labels = Vocabulary(tuple(asked)), LabelSpace.of(table["label"])
    method = find_method("hyperlora")
    settings = method.settings.changed({"r": models.RANK, "lora_alpha": float(models.ALPHA)})

    def build() -> AnnotatorClassifier:
        made = AnnotatorClassifier.build(
            method, settings, sizes.backbone, labels, vocabulary, seed=0
        )
        made.model.to(setting.device).eval()
        return made

    classifier, naive = build(), build()
    models.as_pytorch(naive.model)
    texts = table.drop_duplicates("text_id").head(sizes.texts)
    rows = rows_for(columns_of(texts, ["text_id", "text"]), "all", vocabulary)

    def row_by_row() -> None:
        examples = naive.examples(rows)
        lengths, size = examples.tokens.lengths, settings.eval_batch_size
        for batch in prediction_batches(examples.text_of_row, lengths, size):
            inputs = examples.tokens.batch(examples.text_of_row[batch.rows])
            told = {**inputs, "annotator_ids": torch.from_numpy(examples.annotators[batch.rows])}
            moved = {name: value.to(setting.device) for name, value in told.items()}
            naive.model(**moved).logits.double().softmax(dim=-1).cpu()

    shapes = (
        f"{sizes.backbone}, {len(texts)} texts of {DATASET} for each of {len(asked)} annotators, "
        f"r={models.RANK}, default layers, {settings.eval_batch_size} rows a batch"
    )

    def row(name: str, ratio: str, n_pairs: int) -> Row:
        pairs = in_pairs(
            row_by_row,
            lambda: predict(classifier, rows),
            setting.device,
            n_pairs,
            n_warm=0,
        )
        return Row(f"everyone/{name}", ratio, shapes, pairs)

    ratio = "one row each through the model / ours"
    measured = [row("row-by-row", ratio, sizes.long_pairs)]
    if not setting.on_gpu:
        use_fast_products(naive.model)
        measured.append(row("row-by-row-fast", f"{ratio}, both with our products", 1))
    return measured
