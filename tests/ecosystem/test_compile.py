"""`torch.compile`: one graph, the same numbers, and no graph of its own for every annotator."""

import json

import pytest

# The tests check shapes by wrapping every function, which is not what users compile; so the model
# is compiled in a process of its own.
SCRIPT = """
import json, sys
import torch
import hyperadapters as ha
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

torch.set_num_threads(1)
folder, family, backend = sys.argv[1:]
auto = {"bert": AutoModelForSequenceClassification, "llama": AutoModelForCausalLM}[family]
plain = auto.from_pretrained(f"{folder}/backbone").eval()
model = PeftModel.from_pretrained(plain, f"{folder}/adapter", is_trainable=True).eval()
batch = load_file(f"{folder}/batch")
labels = batch.pop("labels")
ids = [torch.tensor([2, -1, 0, 2, 6, -1]), torch.tensor([1, 1, 1, 1, 1, 1]), torch.arange(6)]
graphs, found = [], {}

def counting(graph, inputs):
    graphs.append(graph)
    if backend == "inductor":
        from torch._inductor.compile_fx import compile_fx
        return compile_fx(graph, inputs)
    from torch._dynamo.backends.registry import lookup_backend
    return lookup_backend(backend)(graph, inputs)

def difference(one, other):
    return float((one - other).abs().max())

compiled = torch.compile(model, backend=counting, fullgraph=True)
with torch.no_grad():
    wanted = [model(**batch, annotator_ids=i).logits for i in ids]
    got = [compiled(**batch, annotator_ids=i).logits for i in ids]
    found["forward"] = max(map(difference, got, wanted))
    found["spread"] = difference(wanted[0], wanted[1])
    found["graphs"] = len(graphs)
    fewer = {name: value[:4] for name, value in batch.items()}
    found["fewer rows"] = difference(
        compiled(**fewer, annotator_ids=ids[0][:4]).logits, wanted[0][:4]
    )
    for what, shift in (("too high", 3), ("too low", -3)):
        try:
            compiled(**batch, annotator_ids=ids[2] + shift)
            found[what] = "nothing"
        except Exception as error:
            found[what] = str(error)
    with model.disable_adapter():
        found["disabled"] = difference(compiled(**batch).logits, model(**batch).logits)
    found["again"] = difference(compiled(**batch, annotator_ids=ids[0]).logits, wanted[0])
gradients = []
for module in (model, compiled):
    model.zero_grad()
    module(**batch, annotator_ids=ids[0], labels=labels).loss.backward()
    gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad})
found["gradients"] = max(difference(gradients[0][n], gradients[1][n]) for n in gradients[0])
print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("family", "backend"),
    [("bert", "aot_eager"), pytest.param("llama", "aot_eager", marks=pytest.mark.slow)],
    ids=["bert", "llama"],
)
def test_one_graph_computes_the_same(saved, batch, tmp_path, in_a_process, family, backend):
    from safetensors.torch import save_file

    saved(family)
    given = batch(family, labels=True)
    save_file(given, tmp_path / "batch")
    found = json.loads(in_a_process(SCRIPT, tmp_path, family, backend).splitlines()[-1])
    assert found["spread"] > 1e-2
    assert found["graphs"] == 1, "other annotators, other graphs"
    for what in ("forward", "fewer rows", "disabled", "again"):
        assert found[what] < 1e-5, what
    assert found["gradients"] < 1e-4
    for what in ("too high", "too low"):
        assert "annotator_ids: an index is out of range" in found[what]
