"""One text, one label: opinions, kinds of questions, moods."""

from hyperadapters.tasks.catalogue.parts import (
    CONVERTED,
    TEST_ONLY,
    WITH_TEST,
    classification,
    numbered,
)
from hyperadapters.tasks.hub import Hub
from hyperadapters.tasks.task import Task

TEXTS: tuple[Task, ...] = (
    classification(
        "imdb", "{text}", numbered(2), Hub("stanfordnlp/imdb", None, TEST_ONLY), split_rule="half"
    ),
    classification(
        "yelp_polarity",
        "sentence: {text}",
        numbered(2),
        Hub("fancyzhx/yelp_polarity", None, TEST_ONLY),
        split_rule="thousand",
    ),
    classification(
        "trec",
        "sentence: {text}",
        numbered(6),
        Hub(
            "CogComp/trec",
            None,
            TEST_ONLY,
            CONVERTED,
            columns={"label": "coarse_label"},
        ),
        split_rule="half",
    ),
    classification(
        "tweeteval_irony",
        "text: {text}",
        numbered(2),
        Hub("cardiffnlp/tweet_eval", "irony", WITH_TEST),
        metrics=("f1", "accuracy"),
    ),
    classification(
        "tweeteval_emotion",
        "text: {text}",
        {"0": "anger", "1": "joy", "2": "optimism", "3": "sadness"},
        Hub("cardiffnlp/tweet_eval", "emotion", WITH_TEST),
    ),
)
