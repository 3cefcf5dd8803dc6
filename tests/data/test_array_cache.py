"""Arrays kept on disk: whole or not there, bounded, and safe under several processes."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from hyperadapters.data.array_cache import ArrayCache, default_folder
from hyperadapters.errors import RunError

SHAPE = (50, 4)
SIZE = 50 * 4 * 4
HEADER = 128


def filled(value, calls=None):
    def make(array):
        if calls is not None:
            calls.append(value)
        array[:] = value

    return make


@pytest.fixture
def cache(tmp_path):
    return ArrayCache(tmp_path / "cache", 10 * SIZE)


def files(cache):
    return sorted(path.name for path in cache.folder.glob("*") if path.suffix != ".lock")


def test_made_once(cache):
    calls = []
    first = cache.get("a", SHAPE, filled(1.5, calls))
    again = ArrayCache(cache.folder, cache.max_bytes).get("a", SHAPE, filled(9.0, calls))
    assert calls == [1.5] and files(cache) == ["a.npy"]
    assert first.shape == SHAPE and (first == 1.5).all() and (again == 1.5).all()
    with pytest.raises(ValueError, match="read-only"):
        again[0] = 0


def test_every_fingerprint_has_its_own(cache):
    a, b = cache.get("a", SHAPE, filled(1)), cache.get("b", SHAPE, filled(2))
    assert (a == 1).all() and (b == 2).all()


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_made_anew(cache, damage):
    cache.get("a", SHAPE, filled(1))
    path = cache.folder / "a.npy"
    path.write_bytes(path.read_bytes()[:-9] if damage is None else damage)
    assert (cache.get("a", SHAPE, filled(2)) == 2).all()


def test_another_shape_is_made_anew(cache):
    cache.get("a", SHAPE, filled(1))
    assert cache.get("a", (3, 2), filled(2)).shape == (3, 2)


def test_objects_are_never_read(cache):
    cache.folder.mkdir(parents=True)
    np.save(cache.folder / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert (cache.get("a", SHAPE, filled(2)) == 2).all()


def test_what_is_not_whole_is_not_there(cache):
    def fails(array):
        array[:] = 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get("a", SHAPE, fails)
    assert files(cache) == []
    (cache.folder / "a.0123.part").write_bytes(b"left by a process that was killed")
    assert (cache.get("a", SHAPE, filled(2)) == 2).all()
    assert files(cache) == ["a.npy"]


def test_the_longest_unused_go_first(tmp_path):
    cache = ArrayCache(tmp_path, 2 * (SIZE + HEADER))
    for number, name in enumerate("abc"):
        kept = cache.get(name, SHAPE, filled(number))
        os.utime(tmp_path / f"{name}.npy", (number, number))
        if name == "b":
            first = cache.get("a", SHAPE, filled(9))  # used again
    assert files(cache) == ["a.npy", "c.npy"]
    assert (first == 0).all() and (kept == 2).all()


def test_an_array_stays_readable_when_its_file_goes(tmp_path):
    cache = ArrayCache(tmp_path, SIZE + HEADER)
    first = cache.get("a", SHAPE, filled(1))
    cache.get("b", SHAPE, filled(2))
    assert files(cache) == ["b.npy"] and (first == 1).all()


def test_larger_than_the_bound(tmp_path):
    assert ArrayCache(tmp_path / "none", SIZE - 1).get("a", SHAPE, filled(1)) is None
    assert not (tmp_path / "none").exists()


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="HYPERADAPTERS_CACHE"):
        ArrayCache(tmp_path / "file", 10 * SIZE).get("a", SHAPE, filled(1))


def _one_of_many(folder: Path, log: Path) -> None:
    def make(array):
        with log.open("a") as file:
            file.write("made\n")
        array[:] = 7

    found = ArrayCache(folder, 10 * SIZE).get("a", SHAPE, make)
    assert found is not None and (found == 7).all()


def test_many_processes_make_it_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    many = [context.Process(target=_one_of_many, args=(tmp_path / "c", log)) for _ in range(3)]
    for process in many:
        process.start()
    for process in many:
        process.join(120)
    assert [process.exitcode for process in many] == [0, 0, 0]
    assert log.read_text() == "made\n"


def test_where_arrays_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("HYPERADAPTERS_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("HYPERADAPTERS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "hyperadapters"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder().parts[-2:] == (".cache", "hyperadapters")
