"""Modules and files of one's own that bring losses, measures, stimuli, noise, solvers, figures, models and targets.

    plugins: [my_study, code/stripes.py]      in config_workflow.yaml, or on the command line

A plugin is imported before anything is looked up; what it registers meanwhile is from outside (`Registry.outside`), and its
source is part of the identity of what uses it. `dynvision.extend` has the decorators.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dynvision.errors import InputError, message_of
from dynvision.files import expanded
from dynvision.registry import from_outside

VARIABLE = "DYNVISION_PLUGINS"  # the plugins of a workflow, for the commands that it calls
LOADED: dict[str, str] = {}  # names of modules by names of plugins


def load(names: Iterable[str]) -> None:
    """Import plugins, each once a process.

    Args:
        names: of modules that are installed or in the working directory, or paths of files.

    Raises:
        InputError: one is not there, or does not run.
    """
    for name in names:
        if name in LOADED:
            continue
        module, root = place(name)
        with from_outside(name):
            _import(name, module, root)
        LOADED[name] = module


def names(value: Any) -> tuple[str, ...]:
    """Return the plugins that are asked for, as a list or one alone.

    Raises:
        InputError: something else is given.
    """
    given = value if isinstance(value, (list, tuple)) else () if value in (None, "") else (value,)
    for name in given:
        if not isinstance(name, str) or not name:
            raise InputError(f"plugins: {name!r} is neither the name of a module nor the path of a file")
    return tuple(given)


def place(name: str) -> tuple[str, Path | None]:
    """Return the module of a plugin, and the folder of its file where it is given by a file.

    Raises:
        InputError: there is no such file.
    """
    if not name.endswith(".py") and os.sep not in name:
        return name, None
    path = Path(expanded(name, "plugins"))
    if not path.is_file():
        raise InputError(
            f"plugins: there is no file {path}; give a file of Python code, or the name of a module"
        )
    if not path.stem.isidentifier():
        raise InputError(f"plugins: {path} cannot be imported; use letters, digits and _ in its name")
    return path.stem, path.absolute().parent


def _import(name: str, module: str, root: Path | None) -> None:
    try:
        if root is None:
            if os.getcwd() not in sys.path:
                sys.path.append(os.getcwd())
            importlib.import_module(module)
            return
        known = sys.modules.get(module)
        if known is not None and Path(str(getattr(known, "__file__", ""))).absolute().parent != root:
            raise InputError(f"there is another module {module!r} already; rename the file")
        spec = importlib.util.spec_from_file_location(module, root / f"{module}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[module] = loaded = importlib.util.module_from_spec(spec)
        if str(root) not in sys.path:
            sys.path.append(str(root))  # for modules beside it
        spec.loader.exec_module(loaded)
    except InputError as error:
        sys.modules.pop(module, None)
        raise InputError(f"plugins: {name}: {error}") from None
    except Exception as error:  # the user's own code may raise anything
        sys.modules.pop(module, None)
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            raise InputError(
                f"plugins: there is no module {module!r}, neither installed nor in the folder {os.getcwd()}"
            ) from None
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise InputError(
            f"plugins: {name} does not run: {type(error).__name__}: {message_of(error)} "
            f"({where.filename}, line {where.lineno})"
        ) from None
