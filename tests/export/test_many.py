"""Many conditions at once, each a LoRA folder of its own."""

import numpy as np
import pytest
import torch
from peft import PeftConfig
from safetensors.torch import load_file

import hyperadapters as ha
from exported import FILES, ONE, PEOPLE, close, names
from hyperadapters.errors import ConditionError, ConfigError
from hyperadapters.export import lora, lora_of


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor])
@torch.no_grad()
def test_many_at_once(zoo, adapted, loaded, tmp_path, kind):
    model, batch = adapted()
    folders = ha.export_lora(model, {"annotator_ids": kind([0, 5, -1])}, tmp_path)
    assert folders == [tmp_path / name for name in ("0", "5", "-1")]
    for index, folder in zip((0, 5, -1), folders, strict=True):
        close(loaded(folder), zoo.outputs(model, batch, annotator_ids=index))


@torch.no_grad()
def test_in_blocks_they_are_what_they_are_alone(adapted, tmp_path, monkeypatch):
    model, _ = adapted(gains=True)
    people = [6, 0, -1, 3, 2]
    each = lora._Exporter(model, "default", True)._bytes_per_row()
    sizes = []
    rows = lora.materialise_rows

    def remember(tuner, name, prepared, **options):
        sizes.append(len(prepared["annotator_ids"]))
        return rows(tuner, name, prepared, **options)

    monkeypatch.setattr(lora, "materialise_rows", remember)
    monkeypatch.setattr(lora, "BLOCK_BYTES", 2 * each + 1)
    folders = ha.export_lora(model, {"annotator_ids": people}, tmp_path / "many")
    assert sizes == [2, 2, 1]
    assert names(tmp_path / "many") == sorted(map(str, people))  # and nothing besides
    for index, folder in zip(people, folders, strict=True):
        config, wanted = lora_of(model, {"annotator_ids": index})
        found = load_file(folder / FILES[1])
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-5)
        alone = ha.export_lora(model, {"annotator_ids": index}, tmp_path / "one" / str(index))[0]
        assert (folder / FILES[0]).read_bytes() == (alone / FILES[0]).read_bytes()
        assert PeftConfig.from_pretrained(str(folder)).r == config.r


@torch.no_grad()
def test_an_export_that_was_stopped_goes_on(adapted, tmp_path):
    model, _ = adapted()
    many, told = {"annotator_ids": [4, 1, 5, 2]}, []

    def stop(done, total):
        told.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ha.export_lora(model, many, tmp_path, progress=stop)
    assert names(tmp_path) == ["1", "4"]
    (tmp_path / "5").mkdir()  # not whole
    (tmp_path / "5" / FILES[1]).write_bytes(b"half")
    before = (tmp_path / "4" / FILES[1]).stat().st_mtime_ns
    folders = ha.export_lora(
        model, many, tmp_path, resume=True, progress=lambda *numbers: told.append(numbers)
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [folder.name for folder in folders] == ["4", "1", "5", "2"]
    assert (tmp_path / "4" / FILES[1]).stat().st_mtime_ns == before
    for index, folder in zip(many["annotator_ids"], folders, strict=True):
        wanted = lora_of(model, {"annotator_ids": index})[1]
        found = load_file(folder / FILES[1])
        assert all(torch.allclose(found[n], value, atol=1e-6) for n, value in wanted.items())
    # All is there: nothing is written, or said.
    assert ha.export_lora(model, many, tmp_path, resume=True, progress=stop) == folders
    # Without `resume` everything is written anew.
    ha.export_lora(model, many, tmp_path)
    assert (tmp_path / "4" / FILES[1]).stat().st_mtime_ns > before


@torch.no_grad()
def test_one_wrong_index_and_nothing_is_written(adapted, tmp_path):
    model, _ = adapted()
    with pytest.raises(ConditionError, match="got index 7; wanted 0 to 6"):
        ha.export_lora(model, {"annotator_ids": [0, 1, 7]}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@torch.no_grad()
def test_many_where_nobody_differs(adapted, tmp_path):
    model, _ = adapted(source="learned", bias_source="none", shift=False, taste_rank=0)
    folders = ha.export_lora(model, {"annotator_ids": [0, 1, 2]}, tmp_path)
    first, *others = [(folder / FILES[1]).read_bytes() for folder in folders]
    assert len(others) == 2 and all(other == first for other in others)


@torch.no_grad()
def test_many_of_two_conditions(zoo, adapted, loaded, tmp_path):
    conditions = {"who": ha.Lookup(7), "task": ha.Lookup(3), "style": PEOPLE}
    model, batch = adapted(conditions=conditions)
    many = {"who": [3, 4], "task": [0, 2], "style": {"age": "old"}}
    folders = ha.export_lora(model, many, tmp_path)
    assert [folder.name for folder in folders] == ["3-0", "4-2"]
    wanted = zoo.outputs(model, batch, who=4, task=2, style={"age": "old"})
    close(loaded(folders[1]), wanted)
    with pytest.raises(ConfigError, match=r"lists of one length, .* got \{'who': 2, 'task': 1\}"):
        ha.export_lora(model, {**many, "task": [1]}, tmp_path)


def test_sub_folders_can_have_names_of_the_callers(adapted, tmp_path):
    model, _ = adapted()
    several = {"annotator_ids": [3, 0]}
    made = ha.export_lora(model, several, tmp_path / "named", names=["ada", "bela"])
    plain = ha.export_lora(model, several, tmp_path / "plain")
    assert [folder.name for folder in made] == ["ada", "bela"]
    for ours, theirs in zip(made, plain, strict=True):
        assert (ours / FILES[1]).read_bytes() == (theirs / FILES[1]).read_bytes()
    for wrong in (["ada"], ["ada", "ada"], ["ada", "a/b"], ["ada", ".."], ["ada", ""]):
        with pytest.raises(ConfigError, match="names"):
            ha.export_lora(model, several, tmp_path / "wrong", names=wrong)
    with pytest.raises(ConfigError, match="1 names are wanted in each list"):
        ha.export_lora(model, ONE, tmp_path / "wrong", names=["ada"])
    assert not (tmp_path / "wrong").exists()
