import itertools

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperadapters.backbones import CumulativeLinks, load_backbone, start_at_shares
from hyperadapters.backbones.cumulative import MAX_LOG_SLOPE, with_links
from hyperadapters.errors import ConfigError


def links_at(thresholds, dtype=torch.float64):
    """Links with these thresholds, as near as MIN_GAP lets them be."""
    cuts = torch.tensor(thresholds, dtype=torch.float64)
    cumulative = torch.cat([cuts.sigmoid(), torch.ones(1, dtype=torch.float64)])
    made = CumulativeLinks(len(thresholds) + 1).to(dtype)
    made.start_at(cumulative.diff(prepend=torch.zeros(1, dtype=torch.float64)))
    return made


def exact(score, thresholds, slope=1.0):
    """Log-probabilities from the definition, with 2,000 digits."""
    with mpmath.workdps(2000):
        at = [
            1 / (1 + mpmath.exp(-mpmath.mpf(slope) * (mpmath.mpf(t) - score))) for t in thresholds
        ]
        edges = [mpmath.mpf(0), *at, mpmath.mpf(1)]
        return [float(mpmath.log(b - a)) for a, b in itertools.pairwise(edges)]


def test_probabilities_are_differences_of_the_cumulative_ones():
    links = links_at([-1.0, 0.5, 2.0])
    torch.testing.assert_close(
        links.thresholds, torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64)
    )
    score = torch.linspace(-4, 4, 9, dtype=torch.float64).unsqueeze(1)
    above = torch.sigmoid(score - links.thresholds)  # P(label > k)
    ones, zeros = torch.ones_like(score), torch.zeros_like(score)
    wanted = torch.cat([ones, above], dim=1) - torch.cat([above, zeros], dim=1)
    torch.testing.assert_close(links(score).exp(), wanted)
    torch.testing.assert_close(links(score).exp().sum(dim=1), torch.ones(9, dtype=torch.float64))


def test_cross_entropy_is_the_negative_log_likelihood():
    links = links_at([-1.0, 0.5, 2.0])
    score = torch.randn(6, 1, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 3, 0])
    likelihood = links(score).exp()[torch.arange(6), labels]
    loss = torch.nn.functional.cross_entropy(links(score), labels)
    torch.testing.assert_close(loss, -likelihood.log().mean())


@pytest.mark.parametrize("score", [0.0, 3.0, -30.0, 88.0, -104.0, 1000.0, -1000.0])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-6), (torch.bfloat16, 2e-6)]
)
def test_far_away_scores(score, dtype, tolerance):
    links = links_at([-1.0, 0.25, 0.5, 2.0], torch.float64 if dtype == torch.float64 else None)
    latent = torch.tensor([[score]], dtype=dtype, requires_grad=True)
    got = links(latent)
    assert got.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    wanted = exact(score, links.thresholds.tolist())
    np.testing.assert_allclose(got[0].double().detach(), wanted, rtol=tolerance, atol=tolerance)
    for label in range(5):
        gradients = torch.autograd.grad(
            got[0, label], [latent, *links.parameters()], retain_graph=True
        )
        assert all(torch.isfinite(g).all() for g in gradients)


def test_the_slope_is_an_exponential_that_is_bounded():
    links = links_at([-1.0, 0.5, 2.0])
    slope = 1.7
    bent = MAX_LOG_SLOPE * np.arctanh(np.log(slope) / MAX_LOG_SLOPE)
    got = links(torch.tensor([[0.3, bent]], dtype=torch.float64))[0]
    np.testing.assert_allclose(got.detach(), exact(0.3, [-1.0, 0.5, 2.0], slope), atol=1e-7)
    plain = links(torch.tensor([[0.3]], dtype=torch.float64))
    torch.testing.assert_close(links(torch.tensor([[0.3, 0.0]], dtype=torch.float64)), plain)
    ends = links(torch.tensor([[0.3, 1e4], [0.3, -1e4]], dtype=torch.float64))
    for row, end in zip(ends, (1, -1), strict=True):
        wanted = exact(0.3, [-1.0, 0.5, 2.0], np.exp(end * MAX_LOG_SLOPE))
        np.testing.assert_allclose(row.detach(), wanted, atol=1e-7)


def test_the_gain_stretches_score_and_thresholds():
    links = links_at([-1.0, 0.5, 2.0])
    with torch.no_grad():
        links.log_gain.fill_(np.log(3.0))
    got = links(torch.tensor([[0.3]], dtype=torch.float64))[0]
    np.testing.assert_allclose(got.detach(), exact(0.3, [-1.0, 0.5, 2.0], 3.0), atol=1e-7)


@pytest.mark.parametrize("width", [1, 2])
def test_gradients(width):
    links = links_at([-1.0, 0.5, 2.0])
    parameters = [p.detach().clone().requires_grad_() for p in links.parameters()]
    latent = torch.randn(4, width, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in links.named_parameters()]

    def call(latent, *values):
        return torch.func.functional_call(links, dict(zip(names, values, strict=True)), (latent,))

    assert torch.autograd.gradcheck(call, (latent, *parameters))


numbers = st.floats(-1e3, 1e3, width=32)


@settings(max_examples=100, deadline=None)
@given(
    numbers, st.lists(numbers, min_size=1, max_size=9), st.lists(numbers, min_size=2, max_size=4)
)
def test_the_order_of_the_labels_always_holds(first, raw, scores):
    links = CumulativeLinks(len(raw) + 2)
    with torch.no_grad():
        links.first.fill_(first)
        links.raw_gaps.copy_(torch.tensor(raw))
    assert (links.gaps > 0).all()
    log_p = links(torch.tensor(sorted(scores)).unsqueeze(1)).detach()
    assert torch.isfinite(log_p).all()
    p = log_p.double().exp()
    np.testing.assert_allclose(p.sum(dim=1), 1, atol=1e-5)
    # A higher score makes every higher label at least as likely to be passed.
    above = 1 - p.cumsum(dim=1)
    assert (above.diff(dim=0) >= -1e-5).all()


def test_the_start_is_how_frequent_labels_are():
    counts = [5, 0, 900, 2, 43]
    links = CumulativeLinks(5)
    uniform = torch.full((1, 5), 0.2)
    torch.testing.assert_close(links(torch.zeros(1, 1)).exp(), uniform, atol=1e-3, rtol=0)
    start_at_shares(torch.nn.Sequential(links), counts)
    wanted = (torch.tensor([counts]) + 1) / (950 + 5)
    torch.testing.assert_close(links(torch.zeros(1, 1)).exp(), wanted, atol=1e-4, rtol=0)


def test_it_learns_thresholds_and_score():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 1, generator=generator)
    truth = links_at([-2.0, -0.5, 0.0, 3.0], torch.float32)
    with torch.no_grad():
        labels = torch.multinomial(truth(1.5 * x).exp(), 1, generator=generator).squeeze(1)
    links, weight = CumulativeLinks(5), torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.LBFGS([weight, *links.parameters()], max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(links(weight * x), labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    gain = links.log_gain.exp()
    assert (gain * weight).item() == pytest.approx(1.5, abs=0.1)
    wanted = torch.tensor([-2.0, -0.5, 0.0, 3.0])
    torch.testing.assert_close((gain * links.thresholds).detach(), wanted, atol=0.2, rtol=0)


@pytest.mark.parametrize("head", ["cumulative", "cumulative-scale"])
@pytest.mark.parametrize("name", ["minilm", "tiny_bert", "tiny_roberta"])
def test_a_backbone_gives_log_probabilities(name, head, request):
    folder = name if name == "minilm" else request.getfixturevalue(name)
    model = load_backbone(folder, 4, head=head).model.eval()
    assert model.config.num_labels == model.num_labels == 4
    ids = torch.tensor([[2, 7, 3], [2, 9, 3]])
    labels = torch.tensor([3, 1])
    with torch.no_grad():
        output = model(input_ids=ids, labels=labels)
    assert output.logits.shape == (2, 4)
    torch.testing.assert_close(output.logits.exp().sum(dim=1), torch.ones(2))
    wanted = -output.logits[[0, 1], labels].mean()
    torch.testing.assert_close(output.loss, wanted)


@pytest.mark.parametrize(
    ("head", "n_labels", "message"),
    [
        ("ordinal", 4, "head must be one of softmax, cumulative, cumulative-scale, got 'ordinal'"),
        ("cumulative", 2, "head cumulative needs at least 3 labels on a scale, got 2"),
    ],
)
def test_heads_that_cannot_be(tiny_bert, head, n_labels, message):
    with pytest.raises(ConfigError, match=message):
        load_backbone(tiny_bert, n_labels, head=head)


def test_a_model_without_a_head_that_is_known():
    with pytest.raises(ConfigError, match=r"Linear has no head named classifier, .*head=softmax"):
        with_links(torch.nn.Linear(2, 2), 3)
