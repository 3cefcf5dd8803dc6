import pandas as pd
import pyarrow.parquet as pq
import pytest

from hyperadapters.errors import DataError, RunError
from hyperadapters.tables.pieces import write_pieces

FRAMES = [
    pd.DataFrame({"name": ["ä", "b,\n"], "p": [0.1, 1 / 3]}),
    pd.DataFrame({"name": ["c"], "p": [1.0]}),
]


def test_row_groups(tmp_path):
    write_pieces(iter(FRAMES), tmp_path / "new" / "t.parquet")
    file = pq.ParquetFile(tmp_path / "new" / "t.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(2)] == [2, 1]
    whole = pd.concat(FRAMES, ignore_index=True)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "new" / "t.parquet"), whole)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_text_is_that_of_the_whole(ending, tmp_path):
    for name, frames in (("pieces", FRAMES), ("whole", [pd.concat(FRAMES)])):
        write_pieces(frames, tmp_path / f"{name}.{ending}")
    assert (tmp_path / f"pieces.{ending}").read_bytes() == (
        tmp_path / f"whole.{ending}"
    ).read_bytes()


def test_nothing_is_replaced_unasked_or_left_half(tmp_path):
    path = tmp_path / "t.csv"
    write_pieces(FRAMES, path)
    before = path.read_bytes()
    with pytest.raises(RunError, match="is there already"):
        write_pieces(FRAMES, path)
    write_pieces(FRAMES[:1], path, overwrite=True)
    assert path.read_bytes() != before

    def broken():
        yield FRAMES[0]
        raise ValueError

    for ending in ("csv", "parquet"):
        with pytest.raises(ValueError):
            write_pieces(broken(), tmp_path / f"new.{ending}")
    with pytest.raises(DataError, match="unknown kind of file"):
        write_pieces(FRAMES, tmp_path / "t.xls")
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv"]
