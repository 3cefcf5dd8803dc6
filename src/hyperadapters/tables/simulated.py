"""Who of the annotators of a table is invented."""

from collections.abc import Iterable

_NAMES = (
    "ada bruno carla dario edith femi greta hugo ines jonas kira leo mona nils olga "
    "pablo quita rafi selma tariq ulla viktor wanda xaver abel bela chen dora emil "
    "fatma goran hana ivo jana kofi lena milo nora otto pia "
)
SIMULATED = frozenset(f"sim-{name}" for name in _NAMES.split())
"""The forty people of the demo, see `hyperadapters.data.demo`."""


def is_simulated(names: Iterable[str]) -> bool:
    """Whether one of these annotators is one of the forty, so that ratings were simulated."""
    return not SIMULATED.isdisjoint(names)
