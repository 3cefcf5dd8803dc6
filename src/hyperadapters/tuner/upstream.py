"""What of other packages has to be put up with."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def upstream_warnings_ignored() -> Iterator[None]:
    """PEFT 0.21 reads an attribute whose name Transformers 5 has deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*", FutureWarning)
        yield
