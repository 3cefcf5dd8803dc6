"""Name → case: a function of the setting that gives rows."""

from collections.abc import Callable

from benchmarks.speed.cases.beams import beams
from benchmarks.speed.cases.epoch import epoch
from benchmarks.speed.cases.everyone import everyone
from benchmarks.speed.cases.memory import memory
from benchmarks.speed.cases.mixed import mixed
from benchmarks.speed.cases.people import people
from benchmarks.speed.cases.step import step
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import Setting

CASES: dict[str, Callable[[Setting], list[Row]]] = {
    "step": step,
    "mixed": mixed,
    "memory": memory,
    "people": people,
    "beams": beams,
    "everyone": everyone,
    "epoch": epoch,
}
