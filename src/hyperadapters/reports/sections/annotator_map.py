"""People as points: the main components of their vectors, beside vectors that were shuffled."""

import numpy as np
import pandas as pd

from hyperadapters.evaluation.attributes import values_by_annotator
from hyperadapters.reports.components import (
    Components,
    components_of,
    explained,
    explained_by_chance,
    shuffled,
    shuffled_share,
)
from hyperadapters.reports.figures.people import draw_groups, draw_map
from hyperadapters.reports.markup import percent
from hyperadapters.reports.picture import Picture, Section
from hyperadapters.reports.sections.people import MOST_PEOPLE
from hyperadapters.reports.source import Source
from hyperadapters.reports.vectors import vectors_of

LEAST_PEOPLE = 4
NOT_GIVEN = "not given"
_TITLE = "Map of the annotators"
_SAME = 1e-9


def annotator_map(source: Source) -> Section:
    """The map, coloured by rate, error and attributes, and the same of shuffled vectors."""
    found = vectors_of(source.run)
    why = ""
    if found is None:
        why = f"{source.method} has no vector for each annotator."
    else:
        scores = source.people_of(source.method)
        names, vectors = found
        kept = [i for i, name in enumerate(names) if name in scores.index]
        vectors = vectors[kept]
        if len(kept) < LEAST_PEOPLE:
            why = f"only {len(kept)} of the annotators have both a vector and labelled rows."
        elif np.ptp(vectors, axis=0).max() < _SAME:
            why = "all vectors are the same."
    if found is None or why:
        return Section("map", _TITLE, missing=[f"{_TITLE}: {why}"])
    people = scores.loc[[found[0][i] for i in kept]]
    return Section("map", _TITLE, [_pictures(source, people, vectors)])


def _pictures(source: Source, people: pd.DataFrame, vectors: np.ndarray) -> list[Picture]:
    real = components_of(vectors)
    null = components_of(shuffled(vectors, np.random.default_rng(0)))
    data = pd.DataFrame(
        {
            **{"annotator": people.index, "first": real.places[:, 0]},
            **{"second": real.places[:, 1], "rate": people["rate"].to_numpy()},
            "error": 1 - people["accuracy"].to_numpy(),
        }
    )
    blind = data.assign(first=null.places[:, 0], second=null.places[:, 1])
    rate = source.amount.name
    chance = shuffled_share(vectors)
    shares = (
        f"The two axes hold {percent(real.share)} of the variance of {vectors.shape[1]} numbers "
        f"(of shuffled vectors at most {percent(chance)}, 95th percentile)."
    )
    no_structure = (
        "The same numbers, each column shuffled between people: a map of nobody. Whatever looks "
        "like a pattern here is noise, and so is whatever in the other maps looks no clearer."
    )
    pictures = [
        _coloured("map-rate", f"Coloured by {rate}", data, real, "rate", rate, shares),
        _coloured("map-null", "Shuffled, for comparison", blind, null, "rate", rate, no_structure),
        _coloured("map-error", "Coloured by error rate", data, real, "error", "error rate", ""),
    ]
    return pictures + [_by_attribute(source, data, name) for name in source.by]


def _coloured(
    name: str,
    title: str,
    data: pd.DataFrame,
    components: Components,
    colour: str,
    label: str,
    told: str,
) -> Picture:
    amount = data[colour].to_numpy(np.float64)
    share = explained(components.places, amount)
    fit = f"The {label} never differs."
    if np.isfinite(share):
        chance = explained_by_chance(components.places, amount)
        fit = (
            f"Place explains {percent(share)} of the differences in {label}; people who are "
            f"shuffled reach {percent(chance)} (95th percentile)."
        )
    shown = data if len(data) <= MOST_PEOPLE else data.sample(MOST_PEOPLE, random_state=0)
    caption = f"Each dot is an annotator. {told} {fit}".replace("  ", " ")
    return Picture(name, title, caption, data, lambda axes: draw_map(axes, shown, colour, label))


def _by_attribute(source: Source, data: pd.DataFrame, attribute: str) -> Picture:
    people: pd.DataFrame = source.attributes  # pyright: ignore[reportAssignmentType]
    known = values_by_annotator(people, [attribute])[attribute]
    group = known.reindex(data["annotator"]).fillna(NOT_GIVEN)
    shown = data.assign(group=group.to_numpy(object))
    drawn = shown if len(shown) <= MOST_PEOPLE else shown.sample(MOST_PEOPLE, random_state=0)
    caption = (
        f"Each mark is an annotator, coloured by {attribute}: the largest groups; others are "
        "grey. Groups that lie apart here may still differ in nothing but how often they give "
        "each label: see the map by rate."
    )
    name = "map-by-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in attribute.lower())
    return Picture(
        name, f"Coloured by {attribute}", caption, shown, lambda axes: draw_groups(axes, drawn)
    )
