import hashlib
import math

import numpy as np
import pandas as pd
import pytest

from hyperadapters.data import demo

TOPICS = {
    "traffic", "housing", "parenting", "sports", "religion", "food",
    "gaming", "immigration", "health", "dating", "climate", "politics",
}  # fmt: skip


@pytest.fixture(scope="module")
def comments():
    return demo.load_comments()


@pytest.fixture(scope="module")
def ratings():
    return demo.load_demo()


@pytest.fixture(scope="module")
def truth():
    return demo.true_probabilities()


@pytest.fixture(scope="module")
def matrix(truth):
    """p_toxic, one row a text and one column a person."""
    return truth.pivot(index="text_id", columns="annotator", values="p_toxic")


def one_comment(topic="food", severity=0, tone="plain", profanity=False):
    row = {"topic": topic, "severity": severity, "tone": tone, "profanity": profanity}
    return pd.DataFrame([row])


def person(**rule):
    return demo.SimulatedAnnotator(**{"name": "sim-x", "kind": "moderate", "threshold": 2.0} | rule)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


# the comments


def test_comments_have_the_documented_columns_and_values(comments):
    assert list(comments.columns) == [
        "text_id", "text", "topic", "severity", "tone", "profanity", "target",
    ]  # fmt: skip
    assert len(comments) >= 600
    assert set(comments["topic"]) == TOPICS
    assert set(comments["severity"]) == {0, 1, 2, 3, 4}
    assert set(comments["tone"]) == {"plain", "sarcastic", "angry", "joking"}
    assert set(comments["target"]) == {"none", "idea", "person", "group"}
    assert comments["profanity"].dtype == bool


def test_no_comment_occurs_twice(comments):
    assert comments["text_id"].is_unique
    assert comments["text"].str.lower().str.strip().is_unique


def test_comments_are_short_and_clean(comments):
    assert comments["text"].str.split().str.len().between(5, 40).all()
    assert (comments["text"] == comments["text"].str.strip()).all()


def test_every_topic_is_large_and_has_every_severity(comments):
    table = pd.crosstab(comments["topic"], comments["severity"])
    assert table.sum(axis=1).min() >= 50
    assert table.to_numpy().min() >= 4


def test_profanity_occurs_at_every_severity(comments):
    swearing = comments[comments["profanity"]]
    assert 0.10 <= len(swearing) / len(comments) <= 0.20
    assert set(swearing["severity"]) == {0, 1, 2, 3, 4}


# the people


def test_forty_people_with_unique_ids():
    people = demo.annotators()
    assert len(people) == 40
    assert len({p.name for p in people}) == 40
    assert all(p.name.startswith("sim-") for p in people)


def test_kinds_are_as_numerous_as_promised():
    kinds = [p.kind for p in demo.annotators()]
    assert kinds.count("contrarian") == 2
    assert kinds.count("careless") == 3
    assert kinds.count("topic-sensitive") >= 16
    assert len(set(kinds)) == 8


def test_a_kind_says_what_the_rule_does():
    for p in demo.annotators():
        assert p.contrarian == (p.kind == "contrarian")
        assert (p.carelessness > 0) == (p.kind == "careless")
        assert (p.profanity_weight > 0) == (p.kind == "profanity-averse")
        assert (p.sarcasm_weight < 0) == (p.kind == "sarcasm-tolerant")
        assert bool(p.topic_weights) == (p.kind == "topic-sensitive")


def test_topic_sensitive_people_differ_and_go_both_ways():
    weights = [p.topic_weights for p in demo.annotators() if p.kind == "topic-sensitive"]
    assert len({tuple(sorted(w.items())) for w in weights}) == len(weights)
    for w in weights:
        assert set(w) <= TOPICS
        assert min(w.values()) <= -1.5 and max(w.values()) >= 1.5
    for topic in TOPICS:
        assert {np.sign(w[topic]) for w in weights if topic in w} == {-1.0, 1.0}, topic


# the rule, by hand


def test_at_the_threshold_the_probability_is_one_half():
    assert person(threshold=3.0).probability(one_comment(severity=3)) == pytest.approx([0.5])


@pytest.mark.parametrize(
    ("rule", "comment", "score"),
    [
        ({}, {"severity": 3}, 3.0),
        ({"topic_weights": {"food": 1.5}}, {"severity": 1}, 2.5),
        ({"topic_weights": {"food": 1.5}}, {"severity": 1, "topic": "sports"}, 1.0),
        ({"topic_weights": {"food": -2.0}}, {"severity": 4}, 2.0),
        ({"profanity_weight": 2.5}, {"profanity": True}, 2.5),
        ({"profanity_weight": 2.5}, {"profanity": False}, 0.0),
        ({"sarcasm_weight": -2.0}, {"severity": 3, "tone": "sarcastic"}, 1.0),
        ({"sarcasm_weight": -2.0}, {"severity": 3, "tone": "angry"}, 3.0),
        (
            {"topic_weights": {"food": 1.0}, "profanity_weight": 0.5, "sarcasm_weight": -0.25},
            {"severity": 1, "profanity": True, "tone": "sarcastic"},
            2.25,
        ),
    ],
)
def test_score_by_hand(rule, comment, score):
    p = person(**rule).probability(one_comment(**comment))
    assert p == pytest.approx([sigmoid(4 * (score - 2.0))])


def test_contrarian_says_the_opposite():
    comment = one_comment(severity=3)
    assert person(contrarian=True).probability(comment) == pytest.approx([1 - sigmoid(4)])


def test_careless_mixes_in_a_coin():
    p = person(carelessness=0.4).probability(one_comment(severity=3))
    assert p == pytest.approx([0.6 * sigmoid(4) + 0.4 * 0.5])


def test_contrarian_first_then_careless():
    p = person(contrarian=True, carelessness=0.5).probability(one_comment(severity=4))
    assert p == pytest.approx([0.5 * (1 - sigmoid(8)) + 0.25])


def test_true_probabilities_follow_the_rules(comments, truth):
    assert list(truth.columns) == ["text_id", "annotator", "p_toxic"]
    assert len(truth) == len(comments) * 40
    assert not truth.duplicated(["text_id", "annotator"]).any()
    assert truth["p_toxic"].between(0, 1).all()
    by_key = truth.set_index(["annotator", "text_id"])["p_toxic"]
    for someone in (demo.annotators()[i] for i in (0, 14, 20, 39)):
        expected = someone.probability(comments)
        assert by_key[someone.name][comments["text_id"]].to_numpy() == pytest.approx(expected)


def test_contrarians_anticorrelate_with_the_majority(matrix):
    contrarians = [p.name for p in demo.annotators() if p.contrarian]
    majority = matrix.drop(columns=contrarians).mean(axis=1)
    correlation = matrix.corrwith(majority)
    assert (correlation[contrarians] < -0.7).all()
    assert (correlation.drop(contrarians) > 0.2).all()


def test_people_disagree_and_thresholds_alone_do_not_explain_it(matrix):
    honest = [p.name for p in demo.annotators() if not p.contrarian]
    verdicts = matrix[honest] > 0.5
    share = verdicts.mean(axis=1)
    assert share.between(0.1, 0.9).mean() > 0.5
    # With thresholds alone the verdicts of two people would be nested.
    a, b = verdicts["sim-abel"], verdicts["sim-bela"]
    assert (a & ~b).mean() > 0.1 and (b & ~a).mean() > 0.1


# the ratings


def test_columns_and_labels(ratings):
    assert list(ratings.columns) == ["text_id", "text", "annotator", "label", "split"]
    assert set(ratings["label"]) == {"fine", "toxic"}
    assert ratings["annotator"].nunique() == 40
    assert not ratings.isna().any().any()


def test_texts_belong_to_their_ids(comments, ratings):
    text_of = comments.set_index("text_id")["text"]
    assert (ratings["text"].to_numpy() == text_of[ratings["text_id"]].to_numpy()).all()


@pytest.mark.parametrize("per_text", [1, 7, 8, 40])
def test_every_text_has_distinct_raters_and_loads_are_balanced(comments, per_text):
    ratings = demo.load_demo(ratings_per_text=per_text)
    assert len(ratings) == per_text * len(comments)
    assert (ratings.groupby("text_id")["annotator"].nunique() == per_text).all()
    loads = ratings["annotator"].value_counts()
    assert len(loads) == 40 and loads.max() - loads.min() <= 1


@pytest.mark.parametrize("per_text", [0, -1, 41])
def test_impossible_numbers_of_raters_are_refused(per_text):
    with pytest.raises(ValueError, match=rf"from 1 to 40, got {per_text}"):
        demo.load_demo(ratings_per_text=per_text)


def test_the_same_seed_gives_the_same_ratings(ratings):
    pd.testing.assert_frame_equal(ratings, demo.load_demo(seed=0))


def test_another_seed_changes_raters_and_labels_but_not_splits(ratings):
    other = demo.load_demo(seed=1)
    assert (other["annotator"] != ratings["annotator"]).mean() > 0.5
    assert (other["split"] == ratings["split"]).all()
    everyone, again = demo.load_demo(40, seed=0), demo.load_demo(40, seed=1)
    assert (everyone["label"] != again["label"]).any()


def test_split_is_by_text(ratings):
    assert (ratings.groupby("text_id")["split"].nunique() == 1).all()
    shares = ratings.drop_duplicates("text_id")["split"].value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx({"train": 0.7, "dev": 0.1, "test": 0.2}, abs=0.04)


def test_split_is_the_documented_hash(ratings):
    for text_id, split in ratings[["text_id", "split"]].drop_duplicates().itertuples(index=False):
        position = int(hashlib.sha256(text_id.encode()).hexdigest()[:16], 16) / 16**16
        assert split == ("train" if position < 0.7 else "dev" if position < 0.8 else "test")


def test_every_split_has_every_person_topic_and_label(comments, ratings):
    topic_of = comments.set_index("text_id")["topic"]
    for _, part in ratings.groupby("split"):
        assert part["annotator"].nunique() == 40
        assert set(topic_of[part["text_id"]]) == TOPICS
        assert set(part["label"]) == {"fine", "toxic"}


def test_ratings_agree_with_the_rules_statistically(ratings, truth):
    """Standardised differences of drawn and expected counts, overall, a person, a level of p."""
    joined = ratings.merge(truth, on=["text_id", "annotator"], validate="one_to_one")
    toxic, p = joined["label"] == "toxic", joined["p_toxic"]
    level = pd.cut(p, [0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1], include_lowest=True)
    sums = pd.DataFrame({"drawn": toxic.astype(float), "p": p, "variance": p * (1 - p)})
    for groups, limit in ((pd.Series(0, joined.index), 3), (joined["annotator"], 4), (level, 4)):
        total = sums.groupby(groups, observed=True).sum()
        z = (total["drawn"] - total["p"]) / np.sqrt(total["variance"])
        assert z.abs().max() < limit


def test_labels_beat_chance_against_the_rules_but_are_not_certain(ratings, truth):
    joined = ratings.merge(truth, on=["text_id", "annotator"])
    agree = ((joined["p_toxic"] > 0.5) == (joined["label"] == "toxic")).mean()
    assert 0.85 < agree < 0.98
