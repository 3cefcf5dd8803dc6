import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import T5Config, T5ForConditionalGeneration

from hyperadapters.training.tasks.loss import IGNORED, decoder_inputs, smoothed_loss

LABELS = torch.tensor([[4, 2, 1], [3, 1, IGNORED], [1, IGNORED, IGNORED]])


@pytest.fixture
def logits():
    return torch.randn(3, 3, 7, generator=torch.Generator().manual_seed(0))


def reference(logits, labels, smoothing):
    """The formula, one token after the other."""
    total, n_tokens = 0.0, 0
    for row in range(len(labels)):
        for position in range(labels.shape[1]):
            label = int(labels[row, position])
            if label == IGNORED:
                continue
            p = torch.softmax(logits[row, position].double(), dim=0)
            nll = -p[label].log()
            total += (1 - smoothing) * nll + smoothing / len(p) * (-p.log()).sum()
            n_tokens += 1
    return float(total), n_tokens


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_the_formula(smoothing, logits):
    loss, n_tokens = smoothed_loss(logits, LABELS, smoothing)
    wanted, wanted_tokens = reference(logits, LABELS, smoothing)
    assert float(loss) == pytest.approx(wanted, rel=1e-5)
    assert n_tokens == wanted_tokens == 6


def test_it_is_that_of_pytorch(logits):
    """PyTorch spreads the weight over all words too."""
    for smoothing in (0.0, 0.1):
        loss, n_tokens = smoothed_loss(logits, LABELS, smoothing)
        theirs = cross_entropy(
            logits.flatten(0, 1), LABELS.flatten(), reduction="sum", label_smoothing=smoothing
        )
        assert float(loss) == pytest.approx(float(theirs), rel=1e-5)
        mean = cross_entropy(logits.flatten(0, 1), LABELS.flatten(), label_smoothing=smoothing)
        assert float(loss) / n_tokens == pytest.approx(float(mean), rel=1e-5)


def test_padding_has_no_gradient(logits):
    logits.requires_grad_()
    smoothed_loss(logits, LABELS, 0.1)[0].backward()
    assert (logits.grad[LABELS == IGNORED] == 0).all()
    assert (logits.grad[LABELS != IGNORED] != 0).all()


def test_more_padding_changes_nothing(logits):
    wider = torch.cat([logits, torch.full((3, 2, 7), 50.0)], dim=1)
    labels = torch.cat([LABELS, torch.full((3, 2), IGNORED)], dim=1)
    assert torch.equal(smoothed_loss(wider, labels, 0.1)[0], smoothed_loss(logits, LABELS, 0.1)[0])


def test_half_precision_is_summed_in_full(logits):
    loss, _ = smoothed_loss(logits.bfloat16(), LABELS, 0.1)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(reference(logits.bfloat16(), LABELS, 0.1)[0], rel=1e-5)


def test_no_token_at_all(logits):
    loss, n_tokens = smoothed_loss(logits, torch.full((3, 3), IGNORED), 0.1)
    assert (float(loss), n_tokens) == (0.0, 0)


def test_what_the_decoder_reads():
    config = T5Config(vocab_size=9, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    config.decoder_start_token_id = config.pad_token_id = 0
    model = T5ForConditionalGeneration(config)
    wanted = [[0, 4, 2], [0, 3, 1], [0, 1, 0]]
    assert decoder_inputs(model, LABELS).tolist() == wanted

    class Other:
        """A model that has no way of its own."""

        def __init__(self, config):
            self.config = config

    config.decoder_start_token_id = 5
    assert decoder_inputs(Other(config), LABELS).tolist() == [[5, *row[1:]] for row in wanted]
    assert LABELS[0, 0] == 4  # untouched


# It warns whoever gives it labels that they used to be shifted otherwise.
@pytest.mark.filterwarnings("ignore:Version v4.12.0 introduces a better way:FutureWarning")
@pytest.mark.parametrize("name", ["tiny_t5", "tiny_bert2bert"])
def test_it_is_the_loss_of_the_model_itself(name, request):
    from transformers import AutoModelForSeq2SeqLM

    model = AutoModelForSeq2SeqLM.from_pretrained(request.getfixturevalue(name)).eval()
    inputs = {"input_ids": torch.tensor([[5, 6, 7], [8, 9, 0], [4, 0, 0]])}
    inputs["attention_mask"] = (inputs["input_ids"] != 0).long()
    given = decoder_inputs(model, LABELS)
    with torch.no_grad():
        theirs = model(**inputs, labels=LABELS).loss
        logits = model(**inputs, decoder_input_ids=given).logits
    loss, n_tokens = smoothed_loss(logits, LABELS)
    assert float(loss) / n_tokens == pytest.approx(float(theirs), rel=1e-5)
