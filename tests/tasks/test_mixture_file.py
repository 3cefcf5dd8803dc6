from pathlib import Path

import pytest

from hyperadapters.errors import ConfigError
from hyperadapters.tasks import Generation, Hub, find_task, read_mixture


@pytest.fixture
def write(tmp_path):
    """Write a mixture beside some files, and give its path."""
    for name in ("cola.csv", "rte.parquet", "mine.csv", "books.csv"):
        (tmp_path / name).write_text("split\n")

    def to_file(text: str) -> Path:
        path = tmp_path / "mix.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


MINE = 'mine: {file: mine.csv, source: "review: {text}", target: stars, labels: {1: no, 2: yes}}'


def test_a_mixture(write, tmp_path):
    path = write(
        f"""
        tasks:
          cola: cola.csv
          rte: hub
          sst2: {{file: cola.csv, train: 2000, dev: 500, split_rule: official}}
          {MINE}
        sampling: {{temperature: 10, one_task_per_batch: true}}
        """
    )
    mixture = read_mixture(path)
    assert mixture.name == "mix"
    assert mixture.task_names == ("cola", "rte", "sst2", "mine")
    cola, rte, sst2, mine = mixture.parts
    assert cola.files == (tmp_path / "cola.csv",)
    assert cola.task == find_task("cola")
    assert rte.files == ()
    assert sst2.limits == {"train": 2000, "dev": 500}
    assert sst2.task == find_task("sst2").changed(split_rule="official")
    assert mine.task.labels == {"1": "no", "2": "yes"}
    assert mine.task.kind == "classification"
    assert mine.task.metrics == ("accuracy",)
    assert mixture.sampling.temperature == 10
    assert mixture.sampling.one_task_per_batch


def test_a_name_of_its_own(write):
    assert read_mixture(write("name: mixed\ntasks: {cola: cola.csv}")).name == "mixed"


def test_filters_columns_and_several_files(write, tmp_path):
    part = read_mixture(
        write(
            """
            tasks:
              subjqa:
                file: [cola.csv, mine.csv]
                where: {subset: [a, 2], year: 2020}
                columns: {question: Q, answers: answers.text, split: fold}
            """
        )
    ).parts[0]
    assert part.files == (tmp_path / "cola.csv", tmp_path / "mine.csv")
    assert part.where == {"subset": ("a", "2"), "year": ("2020",)}
    assert part.columns == {"question": "Q", "answers": "answers.text", "split": "fold"}


def test_like_another_task_of_the_mixture(write):
    mixture = read_mixture(
        write(
            f"""
            tasks:
              {MINE}
              books: {{like: mine, file: books.csv, evaluate_only: true}}
            """
        )
    )
    (books,) = mixture.evaluation_only
    assert books.conditioned_as == "mine"
    assert books.task.name == "books"
    # To the model its rows look like those that it was trained on.
    assert books.task.source_of({"text": "a"}) == "mine review: a"
    assert mixture.task_index == {"mine": 0, "books": 0}


def test_like_with_fields_of_its_own(write):
    mixture = read_mixture(
        write(
            """
            tasks:
              rte: rte.parquet
              snli:
                like: rte
                file: books.csv
                source: "sentence1: {premise} sentence2: {hypothesis}"
                labels: {0: 0, 1: 1, 2: 1}
                evaluate_only: true
            """
        )
    )
    (snli,) = mixture.evaluation_only
    assert (
        snli.task.source_of({"premise": "a", "hypothesis": "b"}) == "rte sentence1: a sentence2: b"
    )
    assert snli.task.labels == {"0": "0", "1": "1", "2": "1"}


def test_a_setting_of_generation_leaves_the_others(write):
    mixture = read_mixture(
        write(
            "tasks:\n"
            "  squad: {file: cola.csv, generation: {num_beams: 3}}\n"
            "  mine: {like: squad, file: books.csv, generation: {min_new_tokens: 1}}\n"
        )
    )
    longest = find_task("squad").generation.max_new_tokens
    assert longest
    assert mixture.tasks["squad"].generation == Generation(3, longest)
    assert mixture.tasks["mine"].generation == Generation(3, longest, 1)
    assert mixture.tasks["squad"].changed(generation=Generation(2)).generation == Generation(2)


def test_like_a_known_task_that_is_not_in_the_mixture(write):
    mixture = read_mixture(write("tasks: {stars: {like: sst2, file: cola.csv}}"))
    assert mixture.task_names == ("stars",)
    assert mixture.parts[0].task.source_of({"sentence": "a"}) == "stars sentence: a"


def test_like_of_like(write):
    text = f"""
    tasks:
      last: {{like: middle, file: books.csv, evaluate_only: true}}
      middle: {{like: mine, file: books.csv}}
      {MINE}
    """
    assert read_mixture(write(text)).task_index == {"middle": 0, "mine": 0, "last": 0}


def test_a_hub_set_of_the_users_own(write):
    part = read_mixture(
        write(
            """
            tasks:
              mine:
                hub: {path: me/mine, splits: {train: train, dev: [a, b]}, columns: {t: x.0}}
                source: "{t}"
                target: y
                labels: [no, yes]
            """
        )
    ).parts[0]
    assert part.files == ()
    assert part.task.hub == Hub(
        "me/mine", splits={"train": "train", "dev": ("a", "b")}, columns={"t": "x.0"}
    )


def test_labels_as_a_list_are_their_own_words(write):
    task = 'm: {file: mine.csv, source: "{t}", target: y, labels: [no, yes]}'
    assert read_mixture(write(f"tasks: {{{task}}}")).parts[0].task.labels == {
        "no": "no",
        "yes": "yes",
    }


@pytest.mark.parametrize("given", ["inf", ".inf", "Infinity"])
def test_a_temperature_of_infinity(write, given):
    text = f"tasks: {{cola: cola.csv}}\nsampling: {{temperature: {given}}}"
    assert read_mixture(write(text)).sampling.temperature == float("inf")


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("", ["the file is empty; it needs a table `tasks`"]),
        ("- cola", ["does not hold a table with the key `tasks`"]),
        ("task: {cola: hub}", ["unknown key 'task'; did you mean 'tasks'?"]),
        ("name: m", ["the table `tasks` is missing"]),
        ("tasks: cola", ["`tasks` must be a table of task names"]),
        ("tasks: {}", ["`tasks` must be a table of task names"]),
        ("tasks: {cola: }", ["task cola: name its file, or `hub`"]),
        ("tasks: {cola: 3}", ["task cola: must be a file, `hub` or a table, got 3"]),
        ("tasks: {1: hub, '1': hub}", ["two tasks have the same name"]),
        ("tasks: {cola: {hub: {pat: x}}}", ["unknown field 'pat'; did you mean 'path'?"]),
        ("tasks: {cola: {hub: x}}", ["task cola: hub must be a table of fields"]),
        ("tasks: {'': hub}", ["a task has an empty name"]),
        ("name: 3\ntasks: {cola: hub}", ["name: must be a text, got 3"]),
        ("tasks: {cola: hub, cola: hub}", ["'cola' occurs twice"]),
        (
            "tasks: {cola: {fil: a.csv}, rte: {sorce: x}}",
            [
                "task cola: unknown key 'fil'; did you mean 'file'?",
                "task rte: unknown key 'sorce'; did you mean 'source'?",
            ],
        ),
        (
            "tasks: {cola: {train: -1, dev: 0, test: some}}",
            [
                "task cola: train must be a whole number of rows, at least 1, got -1",
                "task cola: dev must be a whole number of rows, at least 1, got 0",
                "task cola: test must be a whole number of rows, at least 1, got 'some'",
            ],
        ),
        ("tasks: {colla: hub}", ["unknown task 'colla'; did you mean 'cola'?"]),
        (
            "tasks: {zzz: mine.csv}",
            ["unknown task 'zzz'; describe it", "(missing: source, target)"],
        ),
        ("tasks: {cola: colla.csv}", ["no file", "colla.csv; did you mean 'cola.csv'?"]),
        ("tasks: {cola: cola.txt}", ["cola.txt is not one of .csv, .tsv", "(or `hub`)"]),
        ("tasks: {cola: {file: [cola.csv, cola.csv]}}", ["cola.csv is named twice"]),
        ("tasks: {cola: {file: []}}", ["file must be a file, a list of files or `hub`"]),
        ("tasks: {cola: {file: {a: b}}}", ["file must be a file, a list of files or `hub`"]),
        (
            'tasks: {m: {source: "{t}", target: y}}',
            ["task m: is not on the hub; name its `file`"],
        ),
        (
            "tasks: {m: {like: kola, file: mine.csv}}",
            ["task m: like: unknown task 'kola'; did you mean 'cola'?"],
        ),
        ("tasks: {m: {like: 3, file: mine.csv}}", ["like must be the name of a task, got 3"]),
        ("tasks: {m: {like: m, file: mine.csv}}", ["task m: is like itself"]),
        (
            "tasks: {a: {like: b, file: mine.csv}, b: {like: a, file: mine.csv}}",
            ["is like itself: a -> b -> a"],
        ),
        (
            "tasks: {rte: rte.parquet, cola: {file: cola.csv, evaluate_only: true}}",
            ["task 'cola' is only evaluated; say with `like` which trained task it is"],
        ),
        (
            "tasks: {rte: rte.parquet, x: {like: cola, file: cola.csv, evaluate_only: true}}",
            ["task 'x' is only evaluated"],
        ),
        (
            "tasks: {rte: rte.parquet, a: {file: cola.csv, like: b, evaluate_only: true}, "
            "b: {like: cola, file: cola.csv, evaluate_only: true}}",
            ["task 'a' is like 'b', which is trained nowhere (trained: rte)"],
        ),
        ("tasks: {cola: {file: cola.csv, evaluate_only: true}}", ["no task is trained"]),
        (
            "tasks: {cola: {file: cola.csv, evaluate_only: maybe}}",
            ["task cola: evaluate_only must be true or false, got 'maybe'"],
        ),
        ("tasks: {cola: {file: cola.csv, where: a}}", ["where must be a table of columns"]),
        ("tasks: {cola: {file: cola.csv, where: {a: }}}", ["where: a must be a cell or a list"]),
        ("tasks: {cola: {file: cola.csv, where: {a: []}}}", ["where: a must be a cell or a list"]),
        (
            "tasks: {cola: {file: cola.csv, columns: {sentense: s}}}",
            ["columns: unknown column 'sentense'; did you mean 'sentence'?"],
        ),
        ("tasks: {cola: {file: cola.csv, columns: {sentence: 3}}}", ["sentence: must be a text"]),
        ("tasks: {cola: {labels: yes}}", ["task cola: labels must be a table"]),
        ("tasks: {cola: {labels: {0: }}}", ["labels: a cell or a word is empty"]),
        ("tasks: {cola: {labels: {1: a, 1.0: b}}}", ["'1.0' occurs twice"]),
        ("tasks: {cola: {labels: {1: a, '1': b}}}", ["labels: two of the cells are the same"]),
        ("tasks: {cola: {metrics: [acc]}}", ["unknown metric 'acc'; did you mean 'accuracy'?"]),
        ("tasks: {cola: {split_rule: haf}}", ["unknown split_rule 'haf'; did you mean 'half'?"]),
        (
            "tasks: {cola: {generation: {beams: 3}}}",
            ["task cola: generation: unknown field 'beams'; did you mean 'num_beams'?"],
        ),
        (
            "tasks: {cola: {file: cola.csv, generation: {num_beams: 0}}}",
            ["task cola: generation: num_beams must be a whole number of at least 1, got 0"],
        ),
        (
            "tasks: {cola: {source: '{sentence.__class__}'}}",
            ["task cola: the template", "must be the plain name of a column"],
        ),
        ("tasks: {cola: hub}\nsampling: 10", ["sampling: must be a table of temperature"]),
        (
            "tasks: {cola: hub}\nsampling: {temprature: 1}",
            ["sampling: unknown key 'temprature'; did you mean 'temperature'?"],
        ),
        (
            "tasks: {cola: hub}\nsampling: {temperature: 0}",
            ["sampling: temperature must be a number above 0 (or .inf), got 0"],
        ),
        (
            "tasks: {cola: hub}\nsampling: {one_task_per_batch: yes}",
            ["sampling: one_task_per_batch must be true or false, got 'yes'"],
        ),
    ],
)
def test_what_is_wrong_is_said(write, text, messages):
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        read_mixture(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert said.count(str(path)) == 1
    for message in messages:
        assert message in said


def test_problems_of_several_tasks_come_together(write):
    path = write("tasks: {kola: hub, cola: nowhere.csv}")
    with pytest.raises(ConfigError, match=r"unknown task 'kola'.*; task cola: there is no file"):
        read_mixture(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        read_mixture(tmp_path / "mix.yaml")
