import numpy as np
import pytest

from hyperadapters.evaluation.intervals import bootstrap_weights
from hyperadapters.evaluation.tasks import TASK_METRICS
from hyperadapters.evaluation.tasks.answers import Answers
from hyperadapters.evaluation.tasks.intervals import draws_of, interval_of
from hyperadapters.tables.task_predictions import check_task_predictions

WORDS = ("no", "yes", "maybe so", "not at all, no", "so it is, yes")
KINDS = {"f1": "classification", "matthews": "classification"}
KINDS |= {"pearson": "regression", "spearman": "regression"}


@pytest.fixture(scope="session")
def answers(task, frame):
    """Answers of one metric's task: some right, some wrong, some nonsense."""

    def build(metric, n_rows=30, seed=0):
        kind = KINDS.get(metric, "text")
        generator = np.random.default_rng(seed)
        pool = {"text": WORDS, "classification": WORDS[:2]}.get(kind, ("0.5", "1", "3", "4.5"))
        true = generator.choice(pool, n_rows).tolist()
        wrong = generator.choice([*pool, "?"], n_rows).tolist()
        written = np.where(generator.random(n_rows) < 0.5, true, wrong).tolist()
        rows = list(zip(written, true, strict=True))
        return Answers.of(check_task_predictions(frame(rows)), task(metric, kind))

    return build


def drawn(answers, times):
    """The answers with each row as often as it was drawn."""
    rows = np.repeat(np.arange(len(answers)), times.astype(int)).tolist()

    def pick(cells):
        return tuple(cells[row] for row in rows)

    return Answers(
        answers.task,
        *(pick(answers.text_ids), pick(answers.predicted)),
        *(pick(answers.labels), pick(answers.references)),
    )


@pytest.mark.parametrize("name", TASK_METRICS)
def test_a_draw_is_the_metric_of_the_rows_drawn(answers, name):
    sample = answers(name)
    if name in ("pearson", "spearman"):  # what stands for nonsense is fixed on the whole sample
        sample = Answers(
            sample.task, sample.text_ids, tuple(x.replace("?", "2") for x in sample.predicted),
            sample.labels, sample.references,
        )  # fmt: skip
    metric = TASK_METRICS[name](sample)
    [weights] = bootstrap_weights(len(sample), 20, 0, 20)
    wanted = [TASK_METRICS[name](drawn(sample, times)).value for times in weights]
    assert metric.at(weights) == pytest.approx(np.array(wanted), abs=1e-12)
    assert len({round(value, 9) for value in wanted}) > 5


@pytest.mark.parametrize("name", TASK_METRICS)
def test_every_metric_is_counted_on_all_rows(answers, name):
    metric = TASK_METRICS[name](answers(name))
    assert (metric.name, metric.n, metric.shape[0]) == (name, 30, 30)


def test_the_interval_of_a_mean_is_close_to_theory(answers):
    metric = TASK_METRICS["accuracy"](answers("accuracy", 400))
    [found] = draws_of([metric], 400, seed=0, task="t", draws=2000)
    low, high = interval_of(metric.value, found, lowest=0.0, highest=1.0)
    error = 1.96 * np.sqrt(metric.value * (1 - metric.value) / 400)
    assert low == pytest.approx(metric.value - error, abs=0.006)
    assert high == pytest.approx(metric.value + error, abs=0.006)


def test_the_interval_of_a_correlation_is_close_to_theory(task, frame):
    generator = np.random.default_rng(0)
    true = generator.normal(size=1000)
    written = 0.6 * true + 0.8 * generator.normal(size=1000)
    rows = [(str(x), str(y)) for x, y in zip(written, true, strict=True)]
    sample = Answers.of(check_task_predictions(frame(rows)), task("pearson", "regression"))
    metric = TASK_METRICS["pearson"](sample)
    [found] = draws_of([metric], 1000, seed=0, task="t", draws=1000)
    ends = interval_of(metric.value, found, lowest=-1.0, highest=1.0)
    fisher = np.arctanh(metric.value) + np.array([-1.96, 1.96]) / np.sqrt(1000 - 3)
    assert ends == pytest.approx(tuple(np.tanh(fisher)), abs=0.006)


def test_draws_depend_on_seed_and_task_and_not_on_company(answers):
    one = TASK_METRICS["accuracy"](answers("accuracy"))
    two = TASK_METRICS["length"](answers("accuracy"))
    [alone] = draws_of([one], 30, seed=0, task="t")
    together = draws_of([two, one], 30, seed=0, task="t")
    assert (together[1] == alone).all()
    for seed, task in ((1, "t"), (0, "u")):
        assert not (draws_of([one], 30, seed=seed, task=task)[0] == alone).all()


def test_no_draws_of_fewer_than_two_rows(answers):
    for n_rows in (0, 1):
        [found] = draws_of([TASK_METRICS["f1"](answers("f1", 1))], n_rows, seed=0, task="t")
        assert found.shape == (0,)
        assert np.isnan(interval_of(0.5, found, lowest=0.0, highest=1.0)).all()


def test_an_interval_holds_the_value_within_the_range():
    found = np.linspace(0.2, 0.8, 101)
    assert interval_of(0.5, found, lowest=0.0, highest=1.0) == pytest.approx((0.215, 0.785))
    assert interval_of(0.1, found, lowest=0.0, highest=1.0) == pytest.approx((0, 0.385))
    assert interval_of(-0.9, found, lowest=-1.0, highest=1.0) == pytest.approx((-1, -0.615))
    assert interval_of(1.0, found, lowest=0.0, highest=1.0) == pytest.approx((0.715, 1))
