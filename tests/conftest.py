"""Fixtures for every test: where the real data lies, markers, offline mode."""

import gc
import os
from pathlib import Path
from types import ModuleType

import hypothesis
import numpy as np
import pandas as pd
import pytest

import families_table
import runtime_types

os.environ["HF_HUB_OFFLINE"] = "1"
# Tiny models gain nothing from threads, and lose much where other processes want the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Before the package is imported.
runtime_types.install()
# Their assertions are told like those of tests.
pytest.register_assert_rewrite("staged")

# No test is on time, those of properties neither.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    parser.addoption("--slow", action="store_true", help="also run tests marked slow")
    pluginmanager.register(families_table, "families_table")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "real" in item.keywords and not REAL_DATA.is_dir():
            item.add_marker(pytest.mark.skip(reason="../shared/data is not here"))
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


def pytest_collection_finish() -> None:
    # What is there by now stays: it need not be looked through for garbage again and again.
    gc.collect()
    gc.freeze()


def pytest_runtest_setup() -> None:
    runtime_types.begin_test()


@pytest.fixture(scope="session")
def zoo() -> ModuleType:
    """The tiny models of every family."""
    # Here, for it imports the package.
    import families_zoo

    return families_zoo


@pytest.fixture(scope="session")
def real_data() -> Path:
    return REAL_DATA


GOOD, BAD = ("good", "kind", "warm", "nice"), ("bad", "cruel", "cold", "nasty")
FILLERS = ("the", "a", "is", "was", "one", "two", "red", "blue")


def _save_tiny(folder: Path, family: str) -> str:
    """A frozen encoder with random weights and a tokenizer of 21 words, in a folder."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer, RobertaConfig, RobertaModel
    from transformers.utils import logging

    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *FILLERS)
    names = ["input_ids", "token_type_ids", "attention_mask"]
    sizes = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "initializer_range": 0.2,  # large enough that random layers tell words apart
        "pad_token_id": 0,
    }
    logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if family == "bert":
            model = BertModel(BertConfig(**sizes))
        else:
            names.remove("token_type_ids")
            model = RobertaModel(RobertaConfig(**sizes, type_vocab_size=1))
    model.save_pretrained(folder)
    vocabulary = {word: position for position, word in enumerate(words)}
    BertTokenizer(vocab=vocabulary, model_input_names=names).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a BERT of 3 layers; a value for `backbone`."""
    return _save_tiny(tmp_path_factory.mktemp("bert"), "bert")


@pytest.fixture(scope="session")
def tiny_roberta(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a RoBERTa of 3 layers; a value for `backbone`."""
    return _save_tiny(tmp_path_factory.mktemp("roberta"), "roberta")


def _two_kinds(n_texts: int = 60, per_text: int = 6, seed: int = 0) -> pd.DataFrame:
    """Ratings by two kinds of people: six who call bad words toxic, and six who call good ones so.

    The text alone says nothing about the label, and neither does the annotator alone. In test one
    row is by a `newcomer` whom train does not know.
    """
    generator = np.random.default_rng(seed)
    people = [f"{kind}{number}" for kind in "uv" for number in range(6)]
    rows = []
    for number in range(n_texts):
        bad = bool(number % 2)
        words = [*generator.choice(BAD if bad else GOOD, 3), *generator.choice(FILLERS, 2)]
        words += list(generator.choice(FILLERS, number % 4))
        text = " ".join([*generator.permutation(words), f"w{number}"])
        split = ("train", "train", "train", "dev", "test")[number // 2 % 5]
        for person in generator.choice(people, per_text, replace=False):
            toxic = bad == person.startswith("u")
            label = "toxic" if toxic else "fine"
            rows.append((f"t{number}", text, str(person), label, split))
    table = pd.DataFrame(rows, columns=["text_id", "text", "annotator", "label", "split"])
    test = table.index[table["split"] == "test"]
    table.loc[test[:1], "annotator"] = "newcomer"
    return table


@pytest.fixture(scope="session")
def two_kinds() -> pd.DataFrame:
    """Ratings that need text and annotator together; see `_two_kinds`. Do not change it."""
    return _two_kinds()


@pytest.fixture(scope="session")
def quick() -> dict[str, float | bool]:
    """Settings of a run of two epochs (one shared, one with deviations) that takes a second."""
    return {
        **{"epochs": 2, "shared_epochs": 1, "batch_size": 32, "r": 2, "taste_rank": 2},
        **{"condition_width": 4, "site_width": 4, "hidden_width": 8, "adapted_layers": 2},
        **{"deviation": "lora", "deviating_layers": 1},
        **{"learning_rate": 1e-2, "condition_learning_rate": 5e-2},
        **{"max_length": 32, "eval_batch_size": 50, "patience": 5, "evaluations_per_epoch": 1},
    }


@pytest.fixture(scope="session")
def quick_run(tmp_path_factory, tiny_bert, two_kinds, quick) -> Path:
    """Folder of a finished run of `hyperlora` on `two_kinds`. Copy it before you change it."""
    from hyperadapters.experiments import fit

    folder = tmp_path_factory.mktemp("runs") / "quick"
    fit(two_kinds, output=folder, backbone=tiny_bert, **quick)
    return folder
