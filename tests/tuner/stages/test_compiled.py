"""Both stages as one compiled graph."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from staged import STAGES, TWO_KINDS, described

pytestmark = pytest.mark.filterwarnings("ignore:Version v4.12.0:FutureWarning")


# The tests check shapes by wrapping every function, which is not what users compile.
SCRIPT = """
import json, sys
import torch
import hyperadapters as ha

torch.set_num_threads(1)
folder, family, config = sys.argv[1:]
sys.path.insert(0, folder)
import families_zoo as zoo
config = json.loads(config)
case, graphs, found = zoo.Case(family, "SEQ_2_SEQ_LM"), [], {}
model, batch = zoo.make_adapted(case, **config), zoo.make_batch(case)
other = {name: value.roll(1, 0) for name, value in batch.items()}
compiled = torch.compile(model, backend=lambda g, _: graphs.append(g) or g, fullgraph=True)
with torch.no_grad():
    for given in (batch, other):
        difference = compiled(**given).logits - model(**given).logits
        found.setdefault("differences", []).append(float(difference.abs().max()))
found["graphs"] = len(graphs)
gradients = []
for module in (model, compiled):
    model.zero_grad()
    module(**batch).logits.square().mean().backward()
    parameters = ha.adapter_network(model).parameters()
    gradients.append(torch.cat([p.grad.flatten() for p in parameters]))
found["differences"].append(float((gradients[0] - gradients[1]).norm() / gradients[0].norm()))
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "stages",
    ["both", *(pytest.param(s, marks=pytest.mark.slow) for s in STAGES if s != "both")],
)
@pytest.mark.parametrize(
    "kind",
    [pytest.param(k, marks=[pytest.mark.slow] * (k != "published")) for k in TWO_KINDS],
)
def test_compiled_as_one_graph(zoo, stages, kind):
    config = described(stages, kind)
    config["conditions"] = {n: c.to_dict() for n, c in config["conditions"].items()}
    config["groups"] = [group.to_dict() for group in config["groups"]]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(Path(zoo.__file__).parent), "T5", json.dumps(config)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["graphs"] == 1
    assert max(found["differences"]) < 1e-4
