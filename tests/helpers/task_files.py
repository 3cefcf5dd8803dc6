"""Files of tasks, and mixtures that read them."""

import pytest

from hyperadapters.data.tasks import read_examples
from hyperadapters.errors import DataError
from hyperadapters.tasks import Mixture, find_task

COLA = find_task("cola")


OFFICIAL = COLA.changed(split_rule="official")


def mixture_of(*parts, scored=()):
    return Mixture("mix", tuple(parts), evaluation_only=tuple(scored))


def save(frame, path):
    writers = {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".tsv": lambda: frame.to_csv(path, index=False, sep="\t"),
        ".jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        ".parquet": lambda: frame.to_parquet(path),
    }
    writers[path.suffix]()
    return path


def failure(*parts, scored=()):
    with pytest.raises(DataError) as caught:
        read_examples(mixture_of(*parts, scored=scored))
    return str(caught.value)
