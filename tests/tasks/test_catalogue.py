import pytest

from hyperadapters.errors import ConfigError
from hyperadapters.tasks import METRICS, TASKS, find_task

HALF = "cola wnli rte superglue-rte superglue-cb superglue-boolq trec sick mrpc stsb imdb"
HALF += " commonsense_qa"
THOUSAND = "yelp_polarity qqp qnli social_i_qa cosmos_qa winogrande hellaswag sst2 art"
OFFICIAL = "mnli anli xsum cnn_dailymail wiki_lingua_english_en snli paws scitail squad mrqa"

# One row, and what the paper's code makes of it.
WRITTEN = [
    ("cola", {"sentence": "A b."}, "cola sentence: A b."),
    ("rte", {"sentence1": "a", "sentence2": "b"}, "rte sentence1: a sentence2: b"),
    ("qqp", {"question1": "a", "question2": "b"}, "qqp question1: a question2: b"),
    ("mnli", {"premise": "a", "hypothesis": "b"}, "mnli premise: a hypothesis: b"),
    ("qnli", {"question": "a", "sentence": "b"}, "qnli question: a sentence: b"),
    ("imdb", {"text": "a"}, "imdb a"),
    ("trec", {"text": "a"}, "trec sentence: a"),
    (
        "superglue-boolq",
        {"question": "a", "passage": "b"},
        "superglue-boolq question: a passage: b",
    ),
    ("squad", {"question": "a", "context": "b"}, "squad question: a context: b"),
    ("mrqa", {"question": "a", "context": "b"}, "question: a context: b"),
    ("xsum", {"document": "a"}, "summarize: a"),
    ("cnn_dailymail", {"article": "a"}, "summarize: a"),
    ("wmt16-ro-en", {"ro": "a"}, "Translate Romanian to English a"),
    ("wmt16-en-cs", {"en": "a"}, "Translate English to Czech a"),
    ("iwslt2017-ro-nl", {"ro": "a"}, "Translate Romanian to Dutch a"),
    (
        "art",
        {"observation_1": "a", "observation_2": "b", "hypothesis_1": "c", "hypothesis_2": "d"},
        "art observation 1: a observation 2: b hypothesis 1: c hypothesis 2: d",
    ),
    (
        "commonsense_qa",
        {"question": "q", **{letter: letter.lower() for letter in "ABCDE"}},
        "commonsense_qa question: q A: a B: b C: c D: d E: e",
    ),
]


@pytest.mark.parametrize(("name", "row", "source"), WRITTEN, ids=[row[0] for row in WRITTEN])
def test_sources_are_those_of_the_paper(name, row, source):
    assert find_task(name).source_of(row) == source


@pytest.mark.parametrize(
    ("rule", "names"), [("half", HALF), ("thousand", THOUSAND), ("official", OFFICIAL)]
)
def test_split_rules_are_those_of_the_paper(rule, names):
    assert {find_task(name).split_rule for name in names.split()} == {rule}


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_every_task_is_whole(task):
    assert set(task.metrics) <= set(METRICS)
    assert task.hub is not None
    # What the hub is told to look up is something that the task reads.
    more = {"answers", "answer_starts", "id", task.references}
    assert set(task.hub.columns) <= {*task.columns, *more}
    assert "train" in task.hub.splits and "dev" in task.hub.splits
    assert (task.kind == "classification") == (task.labels is not None)
    # The half and thousand rules are for sets whose test labels are hidden.
    assert task.split_rule == "official" or "test" not in task.hub.splits
    assert task.kind == "classification" or task.generation.max_new_tokens or task.name == "stsb"


@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        ("cola", ("matthews",)),
        ("mrpc", ("f1", "accuracy")),
        ("qqp", ("f1", "accuracy")),
        ("stsb", ("pearson", "spearman")),
        ("squad", ("exact_match", "token_f1")),
        ("xsum", ("rouge1", "rouge2", "rougeL", "rougeLsum", "length")),
        ("wmt14-hi-en", ("bleu",)),
        ("mnli", ("accuracy",)),
    ],
)
def test_metrics_are_those_of_the_paper(name, metrics):
    assert find_task(name).metrics == metrics


@pytest.mark.parametrize(
    ("name", "beams", "longest"),
    [
        ("cola", 1, None),
        ("squad", 1, 16),
        ("mrqa", 1, 64),
        ("xsum", 6, 60),
        ("wmt16-en-fi", 4, 300),
    ],
)
def test_answers_are_written_as_in_the_paper(name, beams, longest):
    generation = find_task(name).generation
    assert (generation.num_beams, generation.max_new_tokens) == (beams, longest)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cola", "0 1"),
        ("mnli", "0 1 2"),
        ("art", "1 2"),
        ("social_i_qa", "1 2 3"),
        ("commonsense_qa", "A B C D E"),
        ("trec", "0 1 2 3 4 5"),
        ("tweeteval_emotion", "anger joy optimism sadness"),
    ],
)
def test_label_words(name, words):
    assert find_task(name).words == tuple(words.split())


def test_sick_knows_both_spellings_of_its_labels():
    sick = find_task("sick")
    assert [sick.target_of({"label": cell}) for cell in ("NEUTRAL", 1)] == ["1", "1"]


def test_a_near_miss_is_named():
    with pytest.raises(ConfigError, match=r"unknown task 'colla'; did you mean 'cola'\?"):
        find_task("colla")


def test_known_tasks_are_named_where_nothing_is_near():
    with pytest.raises(ConfigError, match=r"unknown task '\?'; known: cola, sst2, .* and \d+ more"):
        find_task("?")
