import pytest

from hyperadapters.errors import ConfigError
from hyperadapters.export.folders import CONFIG, WEIGHTS, FolderWriter, check_is_free, is_whole


def write(aside):
    for name in (CONFIG, WEIGHTS):
        (aside / name).write_text(name)


def test_a_folder_appears_when_it_is_whole(tmp_path):
    with FolderWriter(tmp_path / "all") as writer:
        for name in ("1", "2"):
            folder = tmp_path / "all" / name
            with writer.writing(folder) as aside:
                (aside / CONFIG).touch()
                assert not folder.exists() and not is_whole(folder)
                (aside / WEIGHTS).touch()
            assert is_whole(folder)
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["1", "2"]


def test_a_failure_leaves_the_folders_before_it_and_nothing_else(tmp_path):
    with pytest.raises(OSError, match="full"), FolderWriter(tmp_path) as writer:
        with writer.writing(tmp_path / "1") as aside:
            write(aside)
        with writer.writing(tmp_path / "2") as aside:
            (aside / CONFIG).touch()
            raise OSError("full")
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_everybody_may_read_what_is_made(tmp_path):
    (tmp_path / "plain").mkdir()
    with FolderWriter(tmp_path) as writer, writer.writing(tmp_path / "new") as aside:
        write(aside)
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_writing_over(tmp_path):
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / CONFIG).write_text("old")
    (folder / "README.md").write_text("mine")
    assert not is_whole(folder)
    with FolderWriter(folder) as writer, writer.writing(folder) as aside:
        write(aside)
        assert (folder / CONFIG).read_text() == "old"
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", CONFIG, WEIGHTS]
    assert (folder / CONFIG).read_text() == CONFIG


def test_where_nothing_is_written_nothing_is_made(tmp_path):
    with FolderWriter(tmp_path / "new"):
        pass
    assert not (tmp_path / "new").exists()


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "taken").touch()
    check_is_free(tmp_path / "free" / "below")
    for path in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(ConfigError, match="taken is a file; wanted a folder"):
            check_is_free(path)
