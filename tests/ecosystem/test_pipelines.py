"""Transformers' pipelines, which know nothing of conditions."""

import pytest
import torch
from transformers import pipeline

import hyperadapters as ha

TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9", "w1 w10"]


@pytest.fixture
def classify(adapted, tokenizer):
    model = adapted("bert")
    return model, pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)


def scores(answers) -> torch.Tensor:
    by_label = [{entry["label"]: entry["score"] for entry in answer} for answer in answers]
    return torch.tensor([[answer[label] for label in sorted(answer)] for answer in by_label])


@torch.no_grad()
@pytest.mark.parametrize("batch_size", [1, 4])
def test_text_classification_for_one_annotator(classify, tokenizer, batch_size):
    model, pipe = classify
    encoded = tokenizer(TEXTS, padding=True, return_tensors="pt")
    got = {}
    for annotator in (0, 3):
        wanted = model(**encoded, annotator_ids=annotator).logits.softmax(1)
        with ha.conditioned(model, annotator_ids=annotator):
            got[annotator] = scores(pipe(TEXTS, batch_size=batch_size))
        torch.testing.assert_close(got[annotator], wanted, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(got[0], got[3], atol=1e-3)


@torch.no_grad()
def test_text_classification_for_an_annotator_per_row(classify, tokenizer):
    model, pipe = classify
    ids = torch.tensor([3, -1, 0, 6])
    encoded = tokenizer(TEXTS, padding=True, return_tensors="pt")
    wanted = model(**encoded, annotator_ids=ids).logits.softmax(1)
    with ha.conditioned(model, annotator_ids=ids):
        got = scores(pipe(TEXTS, batch_size=len(TEXTS)))
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)


def test_a_pipeline_without_a_condition_is_an_error(classify):
    _, pipe = classify
    with pytest.raises(ha.HyperAdaptersError, match="missing condition annotator_ids"):
        pipe(TEXTS)


# The pipeline warns that the maximal length among its own defaults gives way to ours.
@pytest.mark.filterwarnings("ignore:.*max_new_tokens.*:UserWarning")
@pytest.mark.parametrize("batch_size", [1, 4])
def test_text_generation(adapted, tokenizer, batch_size):
    model = adapted("llama")
    left = tokenizer.__class__(
        tokenizer_object=tokenizer._tokenizer, padding_side="left", **tokenizer.special_tokens_map
    )
    pipe = pipeline("text-generation", model=model, tokenizer=left)
    options = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False}
    written = {}
    for annotator in (0, 3):
        with ha.conditioned(model, annotator_ids=annotator):
            answers = pipe(TEXTS, batch_size=batch_size, return_full_text=False, **options)
        written[annotator] = [answer[0]["generated_text"] for answer in answers]
        for text, got in zip(TEXTS, written[annotator], strict=True):
            encoded = {
                name: value
                for name, value in left(text, return_tensors="pt").items()
                if name != "token_type_ids"
            }
            whole = model.generate(**encoded, annotator_ids=annotator, **options)[0]
            new = left.decode(whole[encoded["input_ids"].shape[1] :], skip_special_tokens=True)
            assert got.split() == new.split()
    assert written[0] != written[3]
