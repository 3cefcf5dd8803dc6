"""Peak memory of a process that trains, measured in a fresh one.

    python -m benchmarks.speed.peak '{"job": "ours", "annotators": 262, ...}'

On a CPU it is resident memory: its peak during a few steps, less what was resident before. On a GPU
it is what PyTorch has allocated.
"""

import gc
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from benchmarks.speed import models
from benchmarks.speed.setting import Setting, Sizes
from benchmarks.speed.steps import Pass, TrainingStep, conditioned
from benchmarks.speed.trainer import TrainerStep

Job = Literal["ours", "plain-lora", "people"]
ROOT = Path(__file__).parents[2]
STEPS = 3
_MIB = 2**20


def in_fresh_process(job: Job, setting: Setting, n_annotators: int) -> float:
    """Peak MiB of a job, above those of the loaded backbone (of ``"people"``: with it).

    Args:
        job: What is trained.
        setting: Device, sizes, threads.
        n_annotators: How many the model knows.
    """
    given = {
        "job": job,
        "device": setting.device,
        "threads": setting.threads,
        "annotators": n_annotators,
        "sizes": asdict(setting.sizes),
    }
    command = [sys.executable, "-m", __name__, json.dumps(given)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    return float(done.stdout.splitlines()[-1])


def peak_of(job: Job, sizes: Sizes, n_annotators: int, device: str) -> float:
    """The same, in this process."""
    if job == "people":
        return _grown(lambda: TrainerStep(sizes, n_annotators), device)
    model = models.backbone(sizes.backbone, device)
    batch = models.batch(model, sizes.rows, sizes.tokens, sizes.rows, device)

    def ours() -> TrainingStep:
        return TrainingStep(models.ours(model, n_annotators), [Pass(conditioned(batch))])

    def plain() -> TrainingStep:
        return TrainingStep(models.plain_lora(model), [Pass(batch.inputs)])

    return _grown(ours if job == "ours" else plain, device)


def _grown(prepare: Callable[[], Callable[[], None]], device: str) -> float:
    """MiB by which making something and running it goes beyond what there is now, at its peak."""
    gc.collect()
    before = _now(device)
    _forget_peak(device)
    work = prepare()
    for _ in range(STEPS):
        work()
    return (_peak(device) - before) / _MIB


def _now(device: str) -> int:
    if device == "cuda":
        torch.cuda.synchronize()
        return torch.cuda.memory_allocated()
    return _status("VmRSS") or _peak(device)


def _peak(device: str) -> int:
    if device == "cuda":
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated()
    # Elsewhere than on Linux only the peak of the whole process is known; macOS counts bytes.
    of_process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _status("VmHWM") or of_process * (1 if sys.platform == "darwin" else 1024)


def _forget_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _status(name: str) -> int | None:
    """Bytes of a line of /proc/self/status."""
    if sys.platform != "linux":
        return None
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    values = dict(line.split(":", 1) for line in lines)
    return int(values[name].split()[0]) * 1024


def main(argument: str) -> None:
    """Measure one job."""
    given: dict[str, Any] = json.loads(argument)
    torch.set_num_threads(given["threads"])
    sizes = Sizes(**given["sizes"])
    print(peak_of(given["job"], sizes, given["annotators"], given["device"]))


if __name__ == "__main__":
    main(sys.argv[1])
