"""Beam search under generated adapters against the same with one fixed adapter, side by side.

    python benchmarks/beams.py

A T5 of the shape of t5-small with random weights writes with four beams; each pair of runs is timed
one after the other, and what is printed and written is the ratio of their seconds: its median,
minimum and maximum over the pairs.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import get_peft_model
from torch import nn
from transformers import T5Config, T5ForConditionalGeneration

from hyperadapters.backbones import Seq2SeqBackbone
from hyperadapters.methods.recipes import RECIPES, build_config
from hyperadapters.tuner import adapter_network, register
from hyperadapters.tuner.upstream import upstream_warnings_ignored

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "beams.json"
TABLE = HERE.parent / "docs" / "tables" / "beams.md"
# Name → recipe and changes. Bottlenecks are 64 wide, beside every feed-forward sub-layer.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "fixed adapter": ("single-adapter", {"encoder_width": 64, "decoder_width": 64}),
    "hyperdecoder": ("hyperdecoder", {"hidden_width": 128}),
    "hyperdecoder-lora": ("hyperdecoder-lora", {"decoder_width": 8}),
}


def make(recipe: str, changes: dict[str, Any]) -> nn.Module:
    """A T5 of t5-small's shape under a recipe, far enough from its start to do something."""
    register()
    torch.manual_seed(0)
    config = T5Config(decoder_start_token_id=0, eos_token_id=1, pad_token_id=0)
    backbone = Seq2SeqBackbone("t5-small shape", T5ForConditionalGeneration(config), None)
    settings = RECIPES[recipe].settings.changed(changes)
    with upstream_warnings_ignored():
        model = get_peft_model(backbone.model, build_config(settings, backbone, 8))
    for parameter in adapter_network(model).parameters():
        nn.init.normal_(parameter, std=0.02)
    return model.eval()


@torch.no_grad()
def seconds(model: Any, inputs: dict[str, torch.Tensor], options: dict[str, Any]) -> float:
    """Seconds of one call of `generate`."""
    started = time.perf_counter()
    model.generate(**inputs, **options)
    return time.perf_counter() - started


def main() -> None:
    """Time all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--source", type=int, default=64, help="tokens of an input")
    parser.add_argument("--target", type=int, default=64, help="tokens that are written")
    parser.add_argument("--beams", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    models = {name: make(*case) for name, case in CASES.items()}
    ids = torch.randint(2, 32000, (given.rows, given.source))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    # All write the same number of tokens.
    length = {"min_new_tokens": given.target, "max_new_tokens": given.target}
    options = {"num_beams": given.beams, "do_sample": False, **length}
    fixed, rows = "fixed adapter", []
    for model in models.values():
        seconds(model, inputs, {**options, "min_new_tokens": 4, "max_new_tokens": 4})
    for name in [name for name in CASES if name != fixed]:
        pairs = [
            (seconds(models[name], inputs, options), seconds(models[fixed], inputs, options))
            for _ in range(given.pairs)
        ]
        ratios = [ours / theirs for ours, theirs in pairs]
        rows.append(
            {
                "case": name,
                "ratio": statistics.median(ratios),
                "min": min(ratios),
                "max": max(ratios),
                "seconds": statistics.median(ours for ours, _ in pairs),
                "seconds_fixed": statistics.median(theirs for _, theirs in pairs),
            }
        )
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()})
    record = {
        "command": "python benchmarks/beams.py",
        "arguments": vars(given),
        "hardware": f"{platform.processor() or platform.machine()}, threads: {given.threads}",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    TABLE.write_text(table(record), encoding="utf-8")


def table(record: dict[str, Any]) -> str:
    """The results as Markdown."""
    given, versions = record["arguments"], record["versions"]
    lines = [
        "# Beam search",
        "",
        f"{given['beams']} beams, {given['rows']} inputs of {given['source']} tokens, "
        f"{given['target']} tokens written, the shape of t5-small with random weights; seconds "
        f"divided by those of one fixed adapter, over {given['pairs']} pairs.",
        "",
        "| | median | minimum | maximum | seconds |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['case']} | {row['ratio']:.2f} | {row['min']:.2f} | {row['max']:.2f} "
        f"| {row['seconds']:.1f} |"
        for row in record["rows"]
    ]
    lines += [
        "",
        f"Made by `{record['command']}` on {record['hardware']}; torch {versions['torch']}, "
        f"transformers {versions['transformers']}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
