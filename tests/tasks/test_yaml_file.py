import pytest

from hyperadapters.errors import ConfigError
from hyperadapters.tasks.yaml_file import read_yaml


def read(folder, text):
    path = folder / "mix.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path)


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "Yes", "NO", "2020-01-01", "y"])
def test_words_stay_words(tmp_path, word):
    assert read(tmp_path, f"a: {word}") == {"a": word}


def test_truth_values_and_numbers(tmp_path):
    text = "{a: true, b: False, c: 10, d: .inf, e: 1.5, f: null}"
    wanted = {"a": True, "b": False, "c": 10, "d": float("inf"), "e": 1.5, "f": None}
    assert read(tmp_path, text) == wanted


def test_words_that_only_begin_like_a_truth_value(tmp_path):
    assert read(tmp_path, "a: truely") == {"a": "truely"}


def test_tables_may_be_merged(tmp_path):
    text = "base: &base {a: 1, b: 2}\nmine: {<<: *base, b: 3}"
    assert read(tmp_path, text)["mine"] == {"a": 1, "b": 3}


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "---\n"])
def test_an_empty_file_is_none(tmp_path, text):
    assert read(tmp_path, text) is None


def test_a_byte_order_mark_is_no_part_of_a_key(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbfa: 1") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "'a' occurs twice (line 3, column 1)"),
        ("t: {a: 1, a: 2}", "'a' occurs twice (line 1, column 11)"),
        ("a: [1", "is not YAML: expected ',' or ']'"),
        ("a:\n\t- b", "is not YAML: found character '\\t'"),
        ("a: 1: 2", "is not YAML: mapping values are not allowed here (line 1, column 5)"),
        ("!!python/object:os.system {}", "is not YAML: could not determine a constructor"),
        (b"a: caf\xe9", "is not UTF-8: byte 6 (0xe9) cannot be decoded; save the file as UTF-8"),
    ],
)
def test_what_cannot_be_read(tmp_path, text, message):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert str(tmp_path / "mix.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        read_yaml(tmp_path / "none.yaml")


def test_a_folder(tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        read_yaml(tmp_path)
