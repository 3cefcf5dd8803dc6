"""Measure all cases, or some, and write the table.

    python -m benchmarks.speed [--quick] [--only CASE] [--threads N] [--device cpu|cuda]

Cases run one at a time, and what is there is written at once: a run that was stopped keeps it, and
`--only` measures a case anew and leaves the others. `--quick` takes fewer pairs and parts of the
data, prints its table and writes nothing. What needs real ratings is left out where they are not.
"""

import argparse
import os
from pathlib import Path

import torch
from benchmarks.speed import record
from benchmarks.speed.cases import CASES
from benchmarks.speed.setting import FULL, QUICK, NoDataError, Setting

ROOT = Path(__file__).parents[2]
FILES = {
    "cpu": (ROOT / "benchmarks/results/speed.json", ROOT / "docs/tables/speed.md"),
    "cuda": (ROOT / "benchmarks/results/speed-gpu.json", ROOT / "docs/tables/speed-gpu.md"),
}
NOTE = "A quick run: few pairs, parts of the data; no number for a bar."


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few pairs, parts of the data")
    parser.add_argument("--only", action="append", choices=list(CASES), metavar="CASE")
    parser.add_argument("--threads", type=int, help="threads of PyTorch; by default its own choice")
    parser.add_argument("--device", choices=list(FILES), default="cpu")
    parser.add_argument("--beside", default="", help="what else the machine does, for the table")
    parser.add_argument("--data", type=Path, default=Setting.data)
    given = parser.parse_args(arguments)
    if given.device == "cpu":
        # Accelerate would move to a GPU that it sees.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if given.threads:
        torch.set_num_threads(given.threads)
    sizes = QUICK if given.quick else FULL
    setting = Setting(given.device, sizes, given.data, torch.get_num_threads(), given.beside)
    files = FILES[given.device]
    found = record.empty(given.device) if given.quick else record.read(files[0], given.device)
    for name in given.only or CASES:
        print(f"== {name}", flush=True)
        try:
            rows = CASES[name](setting)
        except NoDataError as error:
            print(f"left out: {error}", flush=True)
            continue
        record.add(found, name, rows, setting)
        for row in rows:
            pairs = row.pairs
            ratios = f"{pairs.median:.2f} ({pairs.minimum:.2f} to {pairs.maximum:.2f})"
            print(f"{row.name}: {ratios}  {row.ratio}", flush=True)
        if not given.quick:
            record.write(found, *files)
    print("\n" + record.table(found, NOTE if given.quick else ""))


if __name__ == "__main__":
    main()
