"""Names for the things a user can choose: one registry for each concept, all of this one class.

    losses = Registry("loss", key="training.loss", package="dynvision.losses")

    @losses.register("EnergyLoss")
    class EnergyLoss(...): ...

    losses["EnergyLoss"]       the definition
    losses["EnergyLos"]        InputError: unknown loss 'EnergyLos' (key training.loss); did you mean 'EnergyLoss'?

A definition is registered where it is written, so a new one is one file. The files of a registry's `package` are imported
at the first look-up and at no other time. A definition that is costly to import is registered by its place,
``"package.module:Name"``, and imported when it is looked up.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Generic, TypeVar

from dynvision.errors import InputError, unknown_name

T = TypeVar("T")
D = TypeVar("D")
_PLUGINS: list[str] = []  # those that are being imported, the innermost last


@contextmanager
def from_outside(plugin: str) -> Iterator[None]:
    """Mark what is registered meanwhile as that of a plugin; if the plugin fails, all of it is removed again."""
    before = {registry: list(registry._definitions) for registry in _REGISTRIES}
    _PLUGINS.append(plugin)
    try:
        yield
    except BaseException:  # Ctrl-C too: half a plugin would be named as a whole one
        for registry in _REGISTRIES:
            for name in set(registry._definitions) - set(before.get(registry, registry._definitions)):
                if registry.outside(name) == plugin:
                    registry.remove(name)
        raise
    finally:
        _PLUGINS.pop()


def lazy_names(package: str) -> Callable[[str], Any]:
    """Return a ``__getattr__`` for a package that imports names when they are first used.

    Which names there are, and where each is defined, is what the package imports below ``if TYPE_CHECKING:``.
    """

    @cache
    def homes() -> dict[str, tuple[str, str]]:
        source = importlib.import_module(package).__loader__.get_source(package)  # type: ignore[union-attr]
        blocks = [part.body for part in ast.parse(source).body if isinstance(part, ast.If)]
        found = [line for block in blocks for line in block if isinstance(line, ast.ImportFrom)]
        return {a.asname or a.name: (str(line.module), a.name) for line in found for a in line.names}

    def find(name: str) -> Any:
        if name.startswith("__") or name not in homes():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, original = homes()[name]
        return getattr(importlib.import_module(module), original)

    return find


def at_place(place: str) -> Any:
    """Import what stands at ``"package.module:Name"``."""
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Registry(Mapping[str, T], Generic[T]):
    """A mapping from names to definitions, in the order of registration.

    Args:
        concept: what a name stands for, as in error messages, e.g. ``"loss"``.
        key: configuration key that holds such a name; shown in error messages.
        package: package whose modules register definitions when they are imported.
    """

    def __init__(self, concept: str, key: str = "", package: str = "") -> None:
        self.concept, self.key, self.package = concept, key, package
        self._definitions: dict[str, T | str] = {}
        self._aliases: dict[str, str] = {}
        self._imported = not package
        self._outside: dict[str, str] = {}
        _REGISTRIES.append(self)

    def __hash__(self) -> int:
        return id(self)

    def register(self, name: str, *aliases: str) -> Callable[[D], D]:
        """Return a decorator that registers a definition by its name.

        Args:
            name: the name in configurations and tables.
            aliases: further names that mean the same; they are accepted, and listed nowhere.

        Raises:
            InputError: a name is taken.
        """

        def decorate(definition: D) -> D:
            self.add(name, definition, *aliases)  # type: ignore[arg-type]
            return definition

        return decorate

    def add(self, name: str, definition: T | str, *aliases: str) -> None:
        """Register a definition, or the place of one, ``"package.module:Name"``.

        Raises:
            InputError: a name is taken.
        """
        from_plugin = bool(_PLUGINS) and not _by_the_package()
        if from_plugin:
            self._import_package()  # so that a name of the package is taken, also before its first look-up
        for new in (name, *aliases):
            if new in self._definitions or new in self._aliases:
                raise InputError(f"the {self.concept} name {new!r} is taken; choose another")
        self._definitions[name] = definition
        if from_plugin:
            self._outside[name] = _PLUGINS[-1]
        self._aliases.update(dict.fromkeys(aliases, name))

    def outside(self, name: str) -> str:
        """Return the plugin that registered a definition; empty for one of the package, and for an unknown name."""
        return self._outside.get(self._aliases.get(name, name), "")

    def remove(self, name: str) -> None:
        """Remove a definition and its aliases, e.g. after a test."""
        del self._definitions[name]
        self._outside.pop(name, None)
        self._aliases = {alias: of for alias, of in self._aliases.items() if of != name}

    def canonical(self, name: str) -> str:
        """Return the name that a definition is registered by, of any of its names.

        Raises:
            InputError: no definition has that name; the message has the nearest one.
        """
        self._import_package()
        name = self._aliases.get(name, name)
        if name not in self._definitions:
            raise unknown_name(self.concept, name, (*self._definitions, *self._aliases), key=self.key or None)
        return name

    def __getitem__(self, name: str) -> T:
        """Return a definition by any of its names.

        Raises:
            InputError: no definition has that name; the message has the nearest one.
        """
        name = self.canonical(name)
        definition = self._definitions[name]
        if isinstance(definition, str):
            definition = self._definitions[name] = at_place(definition)
        return definition  # type: ignore[return-value]

    def __contains__(self, name: object) -> bool:
        self._import_package()
        return name in self._definitions or name in self._aliases

    def __iter__(self) -> Iterator[str]:
        self._import_package()
        return iter(self._definitions)

    def __len__(self) -> int:
        self._import_package()
        return len(self._definitions)

    def _import_package(self) -> None:
        if self._imported:
            return
        self._imported = True  # first, since the files themselves may look something up
        package: Any = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")


_REGISTRIES: list[Registry[Any]] = []


def _by_the_package() -> bool:
    """Return whether a file of the package registers something, also where a plugin's import is what brought it in."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == __name__.partition(".")[0]
