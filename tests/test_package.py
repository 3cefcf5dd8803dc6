import os
import subprocess
import sys

import pytest

import hyperadapters as ha
from hyperadapters.errors import HyperAdaptersError

HEAVY = "print(sorted({'torch', 'peft', 'transformers', 'pandas', 'numpy'} & set(sys.modules)))"


def run(code: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", "import sys\n" + code]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_is_light():
    assert run("import hyperadapters\n" + HEAVY) == "[]"


def test_the_check_above_would_notice_torch():
    assert "'torch'" in run("import hyperadapters, torch\n" + HEAVY)


REGISTERED = """
import peft
from hyperadapters._registration import _PeftFinder, register_with_peft
assert "HYPERADAPTER" in [member.value for member in peft.PeftType]
assert peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING["HYPERADAPTER"].__name__ == "HyperAdapterConfig"
assert type(peft.__loader__).__name__ == type(peft.__spec__.loader).__name__ == "SourceFileLoader"
register_with_peft()
assert not any(isinstance(finder, _PeftFinder) for finder in sys.meta_path)
print("registered")
"""
FINDER = "assert sum(isinstance(finder, _PeftFinder) for finder in sys.meta_path) == 1\n"


@pytest.mark.parametrize(
    "order",
    {
        "after PEFT": "import peft, hyperadapters",
        # The import of the tuner is what loads PEFT, which calls for the tuner.
        "with its own use": "import hyperadapters; hyperadapters.HyperAdapterConfig",
        "after somebody has asked for PEFT, and twice": (
            "import importlib.util, hyperadapters\n"
            "from hyperadapters._registration import _PeftFinder, register_with_peft\n"
            "register_with_peft()\n"
            + FINDER
            + "assert importlib.util.find_spec('peft').origin\n"
            + FINDER
            + "assert 'peft' not in sys.modules"
        ),
    }.items(),
    ids=lambda item: item[0],
)
def test_registered_whatever_comes_first(order):
    assert run(order[1] + REGISTERED) == "registered"


def test_every_public_name_is_there():
    assert dir(ha) == sorted(ha.__all__)
    for name in ha.__all__:
        assert getattr(ha, name) is not None
    assert issubclass(HyperAdaptersError, Exception) and ha.POPULATION == -1


def test_names_that_are_not_there():
    with pytest.raises(AttributeError, match="'hyperadapters' has no attribute 'HyperLora'"):
        _ = ha.HyperLora
