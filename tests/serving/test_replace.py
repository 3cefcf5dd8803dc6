import pytest

from hyperadapters.errors import RunError
from hyperadapters.serving import replace
from hyperadapters.serving.replace import aside, discard, put_in_place, tidy


@pytest.fixture(params=["exchanged", "renamed"])
def folders(tmp_path, request, monkeypatch):
    """A folder and one that is to be put in its place; with and without the system's help."""
    if request.param == "renamed":
        monkeypatch.setattr(replace, "_exchanged", lambda one, other: False)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "old").touch()
    made = aside(folder)
    made.mkdir()
    (made / "new").touch()
    return made, folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_new_one_is_there_and_the_old_one_gone(folders, tmp_path):
    made, folder = folders
    put_in_place(made, folder)
    assert names(folder) == ["new"] and names(tmp_path) == ["run"]


def test_what_cannot_be_put_in_place_leaves_the_old_one(folders, tmp_path):
    made, folder = folders
    (made / "new").unlink()
    made.rmdir()
    with pytest.raises(RunError, match="run cannot be replaced"):
        put_in_place(made, folder)
    assert names(folder) == ["old"]
    discard(made)
    assert names(tmp_path) == ["run"]


def test_an_old_folder_that_could_not_go_back_is_not_thrown_away(folders, tmp_path):
    made, folder = folders
    folder.rename(made.with_name("before"))
    discard(made)
    tidy(folder)
    assert names(folder) == ["old"]


def test_what_was_left_half_done_is_undone(folders, tmp_path):
    made, folder = folders
    folder.rename(made.with_name("before"))
    tidy(folder)
    assert names(folder) == ["old"] and names(tmp_path) == ["run"]
    tidy(folder)
    assert names(folder) == ["old"]


def test_two_of_them_are_kept_apart(tmp_path):
    (tmp_path / "run").mkdir()
    assert aside(tmp_path / "run") != aside(tmp_path / "run")
    with pytest.raises(RunError, match="nothing can be written beside"):
        aside(tmp_path / "nowhere" / "run")
