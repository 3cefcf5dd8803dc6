"""Registering the PEFT method without importing PEFT (and torch) before somebody needs them.

`import hyperadapters` is light. If PEFT is loaded already, the method is registered at once; if
not, at the end of the import of PEFT, whoever causes it.
"""

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def register_with_peft() -> None:
    """Register now if PEFT is there, else as soon as it is."""
    # A PEFT that is only half imported is caught by the finder of its own import.
    if "peft" in sys.modules:
        _register()
    elif not any(isinstance(finder, _PeftFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _PeftFinder())


def _register() -> None:
    # The tuner registers at the end of its own import. Where that import is what loads PEFT, it is
    # under way and must not be entered again.
    if "hyperadapters.tuner" not in sys.modules:
        importlib.import_module("hyperadapters.tuner")


class _PeftFinder(MetaPathFinder):
    """Finds PEFT as Python would, and adds the registration to the end of its import."""

    def find_spec(
        self,
        fullname: str,
        path: Any = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname != "peft":
            return None
        # Being asked is not yet an import (Transformers asks whether PEFT is there), so this finder
        # stays until PEFT has been imported.
        others = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader, self)
        return spec


class _RegisteringLoader(Loader):
    """Runs the original loader, then takes the finder away and registers."""

    def __init__(self, original: Loader, finder: _PeftFinder) -> None:
        self._original = original
        self._finder = finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._original.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._original.exec_module(module)
        # From here on the module shows the loader that Python itself would have used.
        module.__loader__ = self._original
        if module.__spec__ is not None:
            module.__spec__.loader = self._original
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        _register()
