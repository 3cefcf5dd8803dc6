"""Two processes on CPU, each with its share of a mixed batch."""

import socket

import pytest
import torch
from safetensors.torch import load_file, save_file

# Loads the model in float64, so that a difference is an error and no rounding, runs the half of
# each batch that belongs to this rank, and saves the gradients of rank 0.
SCRIPT = """
import os, sys
from pathlib import Path
import torch
import hyperadapters
from accelerate import Accelerator
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

torch.set_num_threads(1)
folder, way = Path(sys.argv[1]), sys.argv[2]
plain = AutoModelForSequenceClassification.from_pretrained(folder / "backbone")
model = PeftModel.from_pretrained(plain, folder / "adapter", is_trainable=True).double().eval()
accelerator = Accelerator(cpu=True)
rank = accelerator.process_index
assert accelerator.num_processes == 2
if way == "ddp":
    prepared = accelerator.prepare(model)
    assert type(prepared).__name__ == "DistributedDataParallel"
else:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    mesh = init_device_mesh("cpu", (2,))
    for layer in model.get_base_model().bert.encoder.layer:
        fully_shard(layer, mesh=mesh)
    prepared = fully_shard(model, mesh=mesh)
for path in sorted(folder.glob("batch-*")):
    prepared.zero_grad()
    mine = {name: value[3 * rank : 3 * rank + 3] for name, value in load_file(path).items()}
    prepared(**mine).loss.backward()
    gradients = {}
    for name, parameter in accelerator.unwrap_model(prepared).named_parameters():
        if parameter.grad is not None:
            gradient = parameter.grad
            gradients[name] = gradient.full_tensor() if way == "fsdp" else gradient
    if rank == 0:
        save_file(gradients, folder / path.name.replace("batch", "gradients"))
accelerator.wait_for_everyone()
os._exit(0)  # gloo's threads sometimes abort a process that ends of itself
"""

# Annotators that differ from rank to rank, and that are shared, with rows of nobody in particular.
SPLITS = {"differ": [0, 1, 2, 3, 4, 5], "shared": [3, 3, -1, 3, -1, -1]}


def launcher() -> tuple[str, ...]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = ("--master_addr=127.0.0.1", f"--master_port={port}")
    return ("-m", "torch.distributed.run", "--nproc_per_node=2", *address)


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_two_ranks_have_the_gradient_of_the_whole_batch(saved, batch, tmp_path, in_a_process, way):
    model, _ = saved("bert")
    model.double()
    batches = {}
    for split, annotators in SPLITS.items():
        batches[split] = {**batch(labels=True), "annotator_ids": torch.tensor(annotators)}
        save_file(batches[split], tmp_path / f"batch-{split}")
    in_a_process(SCRIPT, tmp_path, way, launcher=launcher())
    for split, whole in batches.items():
        model.zero_grad()
        model(**whole).loss.backward()
        wanted = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        got = load_file(tmp_path / f"gradients-{split}")
        assert set(got) == set(wanted)
        for name in wanted:
            torch.testing.assert_close(got[name], wanted[name], atol=1e-10, rtol=1e-8)
