import pytest

from hyperadapters.errors import RunError
from hyperadapters.experiments.folder import RunFolder, read_json, refuse_existing, write_json
from hyperadapters.experiments.record import fingerprint


def test_the_fingerprint_sees_what_matters(two_kinds):
    base = fingerprint(two_kinds)
    assert base["rows"] == len(two_kinds) and base["texts"] == 60
    assert fingerprint(two_kinds.assign(age=3)) == base
    for column in ("text_id", "text", "annotator", "label", "split"):
        changed = two_kinds.copy()
        changed.loc[5, column] = "dev" if column == "split" else "other"
        assert fingerprint(changed)["sha256"] != base["sha256"], column
    assert fingerprint(two_kinds.iloc[::-1])["sha256"] != base["sha256"]


def test_existing_outputs_are_refused(tmp_path):
    refuse_existing(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    refuse_existing(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    for name in (".", "file"):
        with pytest.raises(RunError, match="exists; name another output, or remove it first"):
            refuse_existing(tmp_path / name)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be made"):
        RunFolder(tmp_path / "file" / "run").create()


def test_json_is_replaced_in_one_step(tmp_path):
    write_json(tmp_path / "x.json", {"name": "Zoë"})
    write_json(tmp_path / "x.json", {"name": "Žofie"})
    assert read_json(tmp_path / "x.json") == {"name": "Žofie"}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    (tmp_path / "x.json").write_bytes(b"\xff")
    with pytest.raises(RunError, match=r"x\.json cannot be read"):
        read_json(tmp_path / "x.json")
