import pytest
import torch
from torch import nn

from hyperadapters.errors import RunError
from hyperadapters.experiments import fit
from hyperadapters.training import Progress
from hyperadapters.training.averaging import Averages


@pytest.fixture
def model():
    model = nn.Linear(2, 1, bias=False)
    model.frozen = nn.Parameter(torch.ones(1), requires_grad=False)
    return model


def put(model, *values):
    model.weight.data = torch.tensor([values])


def test_the_mean_of_a_straight_walk(model):
    averages = Averages(model, horizon=4.0)
    mean = None
    for step in range(1, 40):
        put(model, float(step), 1.0)
        averages.update(step)
        decay = min(0.75, (1 + step) / (10 + step))
        mean = float(step) if mean is None else decay * mean + (1 - decay) * step
    with averages.applied():
        assert model.weight[0].tolist() == pytest.approx([mean, 1.0], rel=1e-5)
        # In the long run a mean over `horizon` steps lags by horizon - 1.
        assert mean == pytest.approx(39 - 3, abs=0.05)
    assert model.weight[0].tolist() == [39.0, 1.0]


def test_without_a_horizon_the_model_is_as_it_is(model):
    averages = Averages(model, horizon=0.0)
    averages.update(1)
    put(model, 5.0, 6.0)
    with averages.applied():
        assert model.weight[0].tolist() == [5.0, 6.0]
    assert averages.state() == {}


def test_state_and_back(model):
    averages = Averages(model, horizon=10.0)
    for step in (1, 2, 3):
        put(model, float(step), 0.0)
        averages.update(step)
    again = Averages(model, horizon=10.0)
    again.load({**averages.state(), "something else": torch.zeros(1)})
    for one in (averages, again):
        put(model, 9.0, 9.0)
        one.update(4)
    for name, mean in averages.state().items():
        assert torch.equal(mean, again.state()[name])


def test_means_of_another_model_are_refused(model):
    averages = Averages(model, horizon=10.0)
    averages.load({"averages/other": torch.zeros(1)})
    with pytest.raises(RunError, match="another shape"), averages.applied():
        pass


class StopAt(Progress):
    def __init__(self, step):
        self._at = step

    def step(self, step):
        if step.step == self._at:
            raise KeyboardInterrupt


def test_resumed_is_uninterrupted(two_kinds, tiny_bert, quick, tmp_path):
    arguments = {"backbone": tiny_bert, **quick, "averaging": 0.5, "evaluations_per_epoch": 2}
    whole = fit(two_kinds, output=tmp_path / "whole", **arguments)
    plain = fit(two_kinds, output=tmp_path / "plain", **{**arguments, "averaging": 0.0})
    assert not whole.predictions.equals(plain.predictions)
    with pytest.raises(KeyboardInterrupt):
        fit(two_kinds, output=tmp_path / "run", progress=StopAt(9), **arguments)
    fit(two_kinds, output=tmp_path / "run", resume=True, **arguments)
    for name in ("adapter_model.safetensors", "predictions.parquet"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
