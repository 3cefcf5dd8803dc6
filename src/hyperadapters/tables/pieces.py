"""Tables that are written piece by piece, so that no table has to be in memory as a whole."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hyperadapters.tables.predictions import check_ending
from hyperadapters.tables.scores import replacing


def write_pieces(frames: Iterable[pd.DataFrame], path: Path, *, overwrite: bool = False) -> None:
    """Write tables of the same columns one below the other.

    Parquet gets a row group for each; CSV and JSONL are, to the byte, what `write_predictions`
    makes of the whole. The file is written beside its place and moved there when whole.

    Args:
        frames: The tables, of which only one is held at a time; at least one.
        path: The file: .parquet, .csv or .jsonl; its folder is made where there is none.
        overwrite: Whether a file that is already there may be replaced.

    Raises:
        DataError: The ending is of another kind.
        RunError: The file is there already, or cannot be written.
    """
    path = Path(path)
    writers = {".parquet": _write_parquet, ".csv": _write_csv, ".jsonl": _write_jsonl}
    write: Callable[[Iterable[pd.DataFrame], Path], None] = writers[check_ending(path)]
    with replacing(path, overwrite=overwrite) as part:
        write(frames, part)


def _write_parquet(frames: Iterable[pd.DataFrame], path: Path) -> None:
    writer: pq.ParquetWriter | None = None
    try:
        for frame in frames:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema)
            writer.write_table(table, row_group_size=max(1, len(table)))
    finally:
        if writer is not None:
            writer.close()


def _write_csv(frames: Iterable[pd.DataFrame], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, frame in enumerate(frames):
            frame.to_csv(file, index=False, header=number == 0, lineterminator="\n")


def _write_jsonl(frames: Iterable[pd.DataFrame], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        for frame in frames:
            # As many digits as `write_predictions` writes.
            frame.to_json(
                file, orient="records", lines=True, force_ascii=False, double_precision=15
            )
