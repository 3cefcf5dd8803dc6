"""Built-in demo data: real sentences, SIMULATED annotators.

The 720 community comments in ``demo_files/comments.jsonl`` were written for this library, and each
carries what its writer meant it to be (topic, severity, tone, profanity, target). **No human rated
them.** All ratings are drawn from the rules of forty invented people, so that the demo needs no
download, hurts nobody's privacy, and has something real data lacks: the true probability of every
label. Scores on it show that a method works, never how well it would do on real annotators.

A simulated annotator labels a comment ``toxic`` (otherwise ``fine``) by this rule::

    score = severity                            0 friendly … 4 threatening
          + topic_weights.get(topic, 0)         > 0 stricter on that topic, < 0 more lenient
          + profanity_weight * profanity        profanity is 1 or 0
          + sarcasm_weight * (tone == "sarcastic")
    p = sigmoid(4 * (score - threshold))
    p = 1 - p                                   if contrarian
    p = (1 - carelessness) * p + carelessness * 0.5

The forty people are of eight kinds:

* ``strict``, ``moderate``, ``lenient``: the same order of comments, another threshold.
* ``topic-sensitive``: strict on some topics and lenient on others; most of the sixteen have an
  opposite, so that no threshold can describe them and a model has to combine text and person.
* ``profanity-averse``: swearing counts, even friendly swearing.
* ``sarcasm-tolerant``: a sarcastic jibe does not count as an attack.
* ``contrarian``: says the opposite of what the rule says.
* ``careless``: a share of the labels is a coin flip.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Literal

import numpy as np
import pandas as pd

from hyperadapters.errors import ConfigError

Kind = Literal[
    "strict",
    "moderate",
    "lenient",
    "topic-sensitive",
    "profanity-averse",
    "sarcasm-tolerant",
    "contrarian",
    "careless",
]

STEEPNESS = 4.0
"""How sharply a person's probability turns around the threshold."""

TRAIN_SHARE, DEV_SHARE = 0.7, 0.1


@dataclass(frozen=True)
class SimulatedAnnotator:
    """One invented person and the rule by which this person labels comments.

    Attributes:
        name: The annotator id, e.g. ``"sim-ada"``.
        kind: What sets this person apart; a description only, the rule is in the other fields.
        threshold: Score at which ``toxic`` and ``fine`` are equally likely.
        topic_weights: Added to the severity of comments on a topic; topics not named weigh 0.
        profanity_weight: Added to the severity of comments that swear.
        sarcasm_weight: Added to the severity of sarcastic comments.
        contrarian: Whether the person says the opposite of what the rule says.
        carelessness: Share of labels, from 0 to 1, that are a coin flip.
    """

    name: str
    kind: Kind
    threshold: float
    topic_weights: Mapping[str, float] = field(default_factory=dict)
    profanity_weight: float = 0.0
    sarcasm_weight: float = 0.0
    contrarian: bool = False
    carelessness: float = 0.0

    def probability(self, comments: pd.DataFrame) -> np.ndarray:
        """Probability that this person labels each comment ``toxic``.

        Args:
            comments: Rows with the columns ``severity``, ``topic``, ``profanity`` and ``tone``,
                as from `load_comments`.

        Returns:
            One probability a row, shape ``(len(comments),)``, by the rule in the module's text.
        """
        topic = [self.topic_weights.get(name, 0.0) for name in comments["topic"]]
        score = (
            comments["severity"].to_numpy(float)
            + np.array(topic, float)
            + self.profanity_weight * comments["profanity"].to_numpy(float)
            + self.sarcasm_weight * (comments["tone"] == "sarcastic").to_numpy(float)
        )
        p = 1.0 / (1.0 + np.exp(-STEEPNESS * (score - self.threshold)))
        if self.contrarian:
            p = 1.0 - p
        return (1.0 - self.carelessness) * p + self.carelessness * 0.5


_PLAIN_PEOPLE = (
    SimulatedAnnotator("sim-ada", "strict", 0.6),
    SimulatedAnnotator("sim-bruno", "strict", 0.8),
    SimulatedAnnotator("sim-carla", "strict", 1.0),
    SimulatedAnnotator("sim-dario", "strict", 1.3),
    SimulatedAnnotator("sim-edith", "strict", 1.5),
    SimulatedAnnotator("sim-femi", "moderate", 2.1),
    SimulatedAnnotator("sim-greta", "moderate", 2.3),
    SimulatedAnnotator("sim-hugo", "moderate", 2.5),
    SimulatedAnnotator("sim-ines", "moderate", 2.7),
    SimulatedAnnotator("sim-jonas", "lenient", 3.2),
    SimulatedAnnotator("sim-kira", "lenient", 3.3),
    SimulatedAnnotator("sim-leo", "lenient", 3.5),
    SimulatedAnnotator("sim-mona", "lenient", 3.6),
    SimulatedAnnotator("sim-nils", "lenient", 3.8),
    SimulatedAnnotator("sim-olga", "profanity-averse", 2.0, profanity_weight=2.5),
    SimulatedAnnotator("sim-pablo", "profanity-averse", 2.3, profanity_weight=2.5),
    SimulatedAnnotator("sim-quita", "profanity-averse", 2.6, profanity_weight=3.0),
    SimulatedAnnotator("sim-rafi", "sarcasm-tolerant", 1.4, sarcasm_weight=-2.0),
    SimulatedAnnotator("sim-selma", "sarcasm-tolerant", 1.6, sarcasm_weight=-2.5),
    SimulatedAnnotator("sim-tariq", "contrarian", 2.0, contrarian=True),
    SimulatedAnnotator("sim-ulla", "contrarian", 2.5, contrarian=True),
    SimulatedAnnotator("sim-viktor", "careless", 1.8, carelessness=0.4),
    SimulatedAnnotator("sim-wanda", "careless", 2.4, carelessness=0.5),
    SimulatedAnnotator("sim-xaver", "careless", 2.6, carelessness=0.6),
)

_TOPIC_PEOPLE: tuple[tuple[str, float, float, str, str], ...] = (
    # name, threshold, weight, topics judged strictly (+weight), topics judged leniently (-weight)
    ("sim-abel", 2.5, 2.0, "gaming sports food", "politics religion immigration"),
    ("sim-bela", 2.5, 2.0, "politics religion immigration", "gaming sports food"),
    ("sim-chen", 2.4, 2.0, "parenting health dating", "traffic housing climate"),
    ("sim-dora", 2.6, 2.0, "traffic housing climate", "parenting health dating"),
    ("sim-emil", 2.3, 2.0, "climate politics traffic", "food gaming dating"),
    ("sim-fatma", 2.5, 2.0, "food gaming dating", "climate politics traffic"),
    ("sim-goran", 2.5, 2.0, "immigration religion housing", "sports parenting health"),
    ("sim-hana", 2.4, 2.0, "sports parenting health", "immigration religion housing"),
    ("sim-ivo", 2.2, 1.5, "sports traffic dating", "politics housing parenting"),
    ("sim-jana", 2.4, 1.5, "politics housing parenting", "sports traffic dating"),
    ("sim-kofi", 2.4, 2.0, "food health climate", "gaming immigration religion"),
    ("sim-lena", 2.6, 2.0, "gaming immigration religion", "food health climate"),
    ("sim-milo", 2.3, 1.5, "religion parenting", "sports traffic gaming"),
    ("sim-nora", 2.6, 1.5, "gaming dating politics", "climate health"),
    ("sim-otto", 2.5, 2.0, "housing immigration climate", "food religion"),
    ("sim-pia", 2.4, 2.0, "food sports traffic", "dating politics immigration"),
)


def annotators() -> tuple[SimulatedAnnotator, ...]:
    """The forty simulated people, always the same and in the same order."""
    topic_sensitive = (
        SimulatedAnnotator(
            name,
            "topic-sensitive",
            threshold,
            dict.fromkeys(strict.split(), weight) | dict.fromkeys(lenient.split(), -weight),
        )
        for name, threshold, weight, strict, lenient in _TOPIC_PEOPLE
    )
    return (*_PLAIN_PEOPLE, *topic_sensitive)


def load_comments() -> pd.DataFrame:
    """The comments without any rating.

    Returns:
        One row a comment: ``text_id``, ``text``, ``topic`` (one of twelve), ``severity`` (0 to 4),
        ``tone`` (plain, sarcastic, angry, joking), ``profanity`` (bool) and ``target`` (none,
        idea, person, group).
    """
    file = resources.files("hyperadapters.data") / "demo_files" / "comments.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines()
    return pd.DataFrame([json.loads(line) for line in lines])


def load_demo(ratings_per_text: int = 8, seed: int = 0) -> pd.DataFrame:
    """Simulated ratings of the comments, ready to train and evaluate on.

    Args:
        ratings_per_text: How many different people rate each text, 1 to 40.
        seed: Seed of the draw, of who rates what and of the labels; the splits do not depend on it.

    Returns:
        One row a rating: ``text_id``, ``text``, ``annotator``, ``label`` (``"fine"`` or
        ``"toxic"``) and ``split``. All ratings of a text are in the same split, about 70 % of the
        texts in ``"train"``, 10 % in ``"dev"`` and 20 % in ``"test"``. The numbers of ratings of
        any two people differ by at most one.

    Raises:
        ConfigError: `ratings_per_text` is not from 1 to the number of people.
    """
    comments, people = load_comments(), annotators()
    if not 1 <= ratings_per_text <= len(people):
        raise ConfigError(
            f"ratings_per_text must be from 1 to {len(people)}, got {ratings_per_text}"
        )
    rng = np.random.default_rng(seed)
    raters = _assign(len(comments), len(people), ratings_per_text, rng)
    p_toxic = np.take_along_axis(_probabilities(comments, people), raters, axis=1)
    toxic = rng.random(raters.shape) < p_toxic

    names = np.array([person.name for person in people], dtype=object)
    text_ids = comments["text_id"].tolist()
    each = comments.index.repeat(ratings_per_text)
    ratings = comments.loc[each, ["text_id", "text"]].reset_index(drop=True)
    ratings["annotator"] = names[raters.ravel()]
    ratings["label"] = np.where(toxic.ravel(), "toxic", "fine")
    ratings["split"] = np.repeat([_split_of(text_id) for text_id in text_ids], ratings_per_text)
    return ratings


def true_probabilities() -> pd.DataFrame:
    """What no real data set offers: the probability behind every possible rating.

    Returns:
        All texts × all people in long form: ``text_id``, ``annotator``, ``p_toxic``.
    """
    comments, people = load_comments(), annotators()
    names = [person.name for person in people]
    return pd.DataFrame(
        {
            "text_id": comments["text_id"].repeat(len(people)).to_numpy(),
            "annotator": names * len(comments),
            "p_toxic": _probabilities(comments, people).ravel(),
        }
    )


def _probabilities(comments: pd.DataFrame, people: Sequence[SimulatedAnnotator]) -> np.ndarray:
    """Probability of ``toxic``, shape ``(len(comments), len(people))``."""
    return np.stack([person.probability(comments) for person in people], axis=1)


def _assign(texts: int, people: int, per_text: int, rng: np.random.Generator) -> np.ndarray:
    """Who rates what: indices of distinct people, shape ``(texts, per_text)``.

    Each text goes to those who have rated least so far, ties in random order; so at any time the
    loads of two people differ by at most one.
    """
    load = np.zeros(people, dtype=int)
    raters = np.empty((texts, per_text), dtype=int)
    for row in raters:
        row[:] = np.sort(np.lexsort((rng.random(people), load))[:per_text])
        load[row] += 1
    return raters


def _split_of(text_id: str) -> str:
    """The split of a text, from the SHA-256 of its id alone: adding texts moves no other text."""
    digest = hashlib.sha256(text_id.encode()).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    if position < TRAIN_SHARE:
        return "train"
    return "dev" if position < TRAIN_SHARE + DEV_SHARE else "test"
