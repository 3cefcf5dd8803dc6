"""Beam search under written adapters: written once, beside written anew at every step."""

from dataclasses import replace
from typing import Any

import torch
from benchmarks.beams import CASES, make
from benchmarks.speed.pairs import in_pairs
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import Setting
from torch import nn

from hyperadapters.tuner.conditioning import Conditioning, conditioning_of

BEAMS = 4
FORMS = ("hyperdecoder", "hyperdecoder-lora")


@torch.no_grad()
def beams(setting: Setting) -> list[Row]:
    """One row for each form of adapter."""
    return [_row(setting, form) for form in FORMS]


def _row(setting: Setting, form: str) -> Row:
    sizes, device = setting.sizes, setting.device
    torch.manual_seed(0)
    once: Any = make(*CASES[form]).to(device)
    every_step: Any = make(*CASES[form]).to(device)
    Regeneration(every_step)
    ids = torch.randint(2, once.config.vocab_size, (sizes.beam_rows, sizes.written), device=device)
    options: dict[str, Any] = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "num_beams": BEAMS,
        "do_sample": False,
        "min_new_tokens": sizes.written,
        "max_new_tokens": sizes.written,
    }
    pairs = in_pairs(
        lambda: every_step.generate(**options),
        lambda: once.generate(**options),
        device,
        max(3, sizes.pairs // 4),
        n_warm=1,
    )
    shapes = (
        f"{form}, shape of t5-small, {sizes.beam_rows} inputs of {sizes.written} tokens, "
        f"{BEAMS} beams, {sizes.written} tokens written"
    )
    return Row(f"beams/{form}", "written at every step / ours", shapes, pairs)


class Regeneration:
    """Writes the weights again, for every beam, whenever the decoder runs: the published way.

    Args:
        model: A PEFT model with a hyperdecoder.

    Attributes:
        count: How often weights were written.
    """

    def __init__(self, model: Any) -> None:
        self.count = 0
        self._conditioning: Conditioning = conditioning_of(model)
        model.get_base_model().get_decoder().register_forward_pre_hook(
            self._write, with_kwargs=True
        )

    def _write(self, decoder: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        conditioning = self._conditioning
        active = conditioning.active
        assert active is not None  # noqa: S101 - `generate` has begun
        n_rows = (args[0] if args else kwargs["input_ids"]).shape[0]
        weights = {}
        for adapter, conditions in active.conditions.items():
            per_beam = {
                name: value.repeat_interleave(n_rows // value.shape[0], dim=0)
                for name, value in conditions.items()
            }
            weights[adapter] = conditioning.tuner.network(adapter)(per_beam)
        conditioning.active = replace(active, weights=weights)
        self.count += 1
