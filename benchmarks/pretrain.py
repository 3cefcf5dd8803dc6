"""Train an encoder–decoder on plain texts, so that mixtures of tasks have a backbone that writes.

    python benchmarks/pretrain.py --data ../shared/data/tasks --output runs/pretrained

No pretrained encoder–decoder comes from PyPI, and in a few hundred steps of a mixture none is
made: the decoder of `minilm2minilm` has to learn to copy first. This trains all of it on the
training texts of the tasks, without labels, answers or summaries, by the objectives of
`pretraining_rows.py`, and writes a folder for `--backbone`. `--shape t5` begins with a small T5
(4 + 4 layers of width 256) with nothing learned. A training that was stopped goes on. Weights stay
in --output; the configuration and the log go to benchmarks/results/pretraining.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pretraining_rows as rows
import store
import torch
from transformers import T5Config, T5ForConditionalGeneration

from hyperadapters.backbones import load_seq2seq
from hyperadapters.backbones.attention_dropout import stop_attention_dropout
from hyperadapters.errors import RunError
from hyperadapters.experiments.folder import read_json, write_json
from hyperadapters.training import Checkpoint
from hyperadapters.training.checkpoint import (
    Standing,
    load_optimizer,
    load_trainable,
    optimizer_state,
)
from hyperadapters.training.optimizer import rate_factor
from hyperadapters.training.tasks.loss import decoder_inputs, smoothed_loss

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "pretraining"
HELD_OUT = 128
# The vocabulary and the lower half of the encoder stay as they are: half of a step's time.
FROZEN = ("embeddings", *(f"encoder.encoder.layer.{i}." for i in range(3)))
SHAPES = {"minilm2minilm": {"infilling": 0.5, "selection": 0.5}, "t5": {"corruption": 1.0}}


@dataclass(frozen=True)
class Settings:
    """What a training depends on.

    Attributes:
        shape: What it begins with.
        steps: Optimiser steps.
        batch_size: Rows a step, of one objective.
        learning_rate: Peak learning rate of what has weights already.
        new_learning_rate: Peak learning rate of what is new.
        warmup_steps: Steps of linear warm-up.
        objectives: Objective → its share of the steps.
        evaluate_every: Steps between evaluations and checkpoints.
        seed: Fixes new weights, order and rows.
    """

    shape: str
    steps: int
    batch_size: int = 16
    learning_rate: float = 2e-4
    new_learning_rate: float = 1e-3
    warmup_steps: int = 150
    objectives: Mapping[str, float] = field(default_factory=dict)
    evaluate_every: int = 100
    seed: int = 0


class Pretraining:
    """A model, its texts, and where its training stands."""

    def __init__(self, settings: Settings, data: Path, output: Path) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.output = settings, output
        self.model, self.tokenizer, new = beginning(settings.shape)
        stop_attention_dropout(self.model)
        without_dropout(self.model)
        self.passages = divided(rows.passages(data), settings)
        groups = parameter_groups(self.model, new, settings)
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
        self.peaks = [group["lr"] for group in groups]
        self.position = Standing()
        self.log: list[dict[str, Any]] = []

    def resume(self) -> None:
        """Go on where it was stopped, if it was.

        Raises:
            RunError: It was begun with other settings.
        """
        settings = asdict(self.settings)
        if (self.output / "settings.json").exists():
            before = read_json(self.output / "settings.json")
            if changed := [name for name, value in settings.items() if before.get(name) != value]:
                what = ", ".join(changed)
                raise RunError(f"{self.output} was begun with another {what}; name another folder")
        write_json(self.output / "settings.json", settings)
        state = Checkpoint.read(self.output, Standing)
        if state is None:
            return
        self.position = state.position
        load_trainable(self.model, state.current)
        load_optimizer(self.optimizer, state.optimizer)
        lines = read_json(self.output / "log.json")
        self.log = [line for line in lines if line["step"] <= self.position.step]

    def train(self) -> None:
        """Train to the end, with checkpoints."""
        settings, position = self.settings, self.position
        began = time.monotonic() - (self.log[-1]["seconds"] if self.log else 0)
        while position.step < settings.steps:
            self._step()
            position.step += 1
            if position.step % settings.evaluate_every == 0 or position.step == settings.steps:
                line = {"step": position.step, "seconds": round(time.monotonic() - began)}
                line |= {"train_loss": position.loss_sum / position.loss_steps, **self.held_out()}
                position.loss_sum, position.loss_steps = 0.0, 0
                self.log.append({k: round(v, 4) for k, v in line.items()})
                print(self.log[-1], flush=True)
                self._save()

    def _step(self) -> None:
        settings, position = self.settings, self.position
        random = np.random.default_rng([settings.seed, position.step])
        torch.manual_seed(position.step)
        names, shares = zip(*settings.objectives.items(), strict=True)
        objective = str(random.choice(names, p=shares))
        pool = self.passages[objective][0]
        drawn = [pool[i] for i in random.choice(len(pool), settings.batch_size, replace=False)]
        factor = rate_factor(position.step, settings.steps, settings.warmup_steps, "linear")
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * factor
        self.model.train()
        logits, labels = self._written(drawn, objective, random)
        total, n_tokens = smoothed_loss(logits, labels)
        loss = total / n_tokens
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        position.loss_sum += float(loss.detach())
        position.loss_steps += 1

    def _written(self, drawn: list[Any], objective: str, random: np.random.Generator) -> Any:
        """Logits and labels of some passages."""
        pairs = [rows.row(passage, objective, random) for passage in drawn]
        sources, targets = (
            self.tokenizer([pair[i] for pair in pairs], padding=True, return_tensors="pt")
            for i in (0, 1)
        )
        labels = targets["input_ids"].masked_fill(targets["attention_mask"] == 0, -100)
        labels = labels[:, 1:] if self.tokenizer.cls_token_id is not None else labels
        inputs = {name: sources[name] for name in ("input_ids", "attention_mask")}
        shifted = decoder_inputs(self.model, labels)
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.model(**inputs, decoder_input_ids=shifted).logits
        return logits, labels

    @torch.no_grad()
    def held_out(self) -> dict[str, float]:
        """Loss of each objective on held-out passages, and how many spans are whole.

        A span is whole if every word of it is the likeliest one after the right words before it.
        """
        self.model.eval()
        found = {}
        for objective, (_, test) in self.passages.items():
            random = np.random.default_rng(0)
            losses, whole, n = 0.0, 0, 0
            for at in range(0, len(test), 32):
                logits, labels = self._written(test[at : at + 32], objective, random)
                total, n_tokens = smoothed_loss(logits, labels)
                losses, n = losses + float(total), n + n_tokens
                right = (logits.argmax(-1) == labels) | (labels == -100)
                whole += int(right.all(-1).sum())
            found |= {f"{objective}_loss": losses / n, f"{objective}_whole": whole / len(test)}
        return found

    def _save(self) -> None:
        current = {n: p.detach().clone() for n, p in trained(self.model)}
        state = optimizer_state(self.optimizer)
        random = torch.get_rng_state()
        # First the log: lines of steps that no checkpoint knows are dropped.
        write_json(self.output / "log.json", self.log)
        Checkpoint(self.position, current, {}, state, random).write(self.output)


def beginning(shape: str) -> tuple[Any, Any, tuple[str, ...]]:
    """A model, its tokenizer and the names of what is new in it."""
    built_in = load_seq2seq("minilm2minilm")
    tokenizer = built_in.tokenizer
    tokenizer.add_special_tokens({"additional_special_tokens": list(rows.SENTINELS)})
    if shape == "minilm2minilm":
        for name, parameter in built_in.model.named_parameters():
            parameter.requires_grad_(not any(part in name for part in FROZEN))
        as_self_attention(built_in.model)
        return built_in.model, tokenizer, built_in.new_modules
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=256,
        d_kv=32,
        d_ff=1024,
        num_layers=4,
        num_heads=8,
        feed_forward_proj="gated-gelu",
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.sep_token_id,
        decoder_start_token_id=tokenizer.cls_token_id,
    )
    return T5ForConditionalGeneration(config), tokenizer, ()


@torch.no_grad()
def as_self_attention(model: Any) -> None:
    """Let cross-attention begin with the weights of the self-attention before it."""
    for layer in model.decoder.bert.encoder.layer:
        weights = layer.attention.state_dict()
        layer.crossattention.load_state_dict(weights)


def divided(
    passages: list[rows.Passage], settings: Settings
) -> dict[str, tuple[list[rows.Passage], list[rows.Passage]]]:
    """Objective → the passages that are fit for it: those to train on, and those held out.

    No longer sentence of what is held out is trained on.
    """
    order = np.random.default_rng(settings.seed).permutation(len(passages))
    held_out = [passages[i] for i in order[:HELD_OUT]]
    train = rows.without([passages[i] for i in order[HELD_OUT:]], held_out)
    return {
        objective: (
            [passage for passage in train if rows.is_fit(passage, objective)],
            [passage for passage in held_out if rows.is_fit(passage, objective)],
        )
        for objective in settings.objectives
    }


def parameter_groups(model: Any, new: tuple[str, ...], settings: Settings) -> list[dict[str, Any]]:
    """What has weights already and what is new, each with its learning rate."""
    of_new: dict[bool, list[torch.nn.Parameter]] = {False: [], True: []}
    for name, parameter in trained(model):
        of_new[settings.shape == "t5" or any(part in name for part in new)].append(parameter)
    rates = {False: settings.learning_rate, True: settings.new_learning_rate}
    return [{"params": of_new[is_new], "lr": rates[is_new]} for is_new in rates if of_new[is_new]]


def trained(model: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """What is trained, by name."""
    return ((n, p) for n, p in model.named_parameters() if p.requires_grad)


def without_dropout(model: torch.nn.Module) -> None:
    """Two cores do not come so far that anything is learned by heart."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def main() -> None:
    """Train, or go on, and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/tasks"))
    parser.add_argument("--output", type=Path, default=Path("runs/pretrained"))
    parser.add_argument("--shape", choices=list(SHAPES), default="minilm2minilm")
    parser.add_argument("--steps", type=int, default=2000)
    given = parser.parse_args()
    settings = Settings(given.shape, given.steps, objectives=SHAPES[given.shape])
    given.output.mkdir(parents=True, exist_ok=True)
    training = Pretraining(settings, given.data, given.output)
    training.resume()
    training.train()
    training.model.save_pretrained(given.output / "backbone")
    training.tokenizer.save_pretrained(given.output / "backbone")
    kept = RESULTS / settings.shape
    kept.mkdir(parents=True, exist_ok=True)
    described = {"settings": asdict(settings), "hardware": store.hardware()}
    sizes = {n: [len(part) for part in parts] for n, parts in training.passages.items()}
    described["passages"] = {
        n: dict(zip(("train", "held_out"), s, strict=True)) for n, s in sizes.items()
    }
    (kept / "config.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    pd.DataFrame(training.log).to_csv(kept / "log.csv", index=False)


if __name__ == "__main__":
    main()
