"""The source of a model and of plugins of one's own, as part of what a run is: another class is another network.

    hash8 of the module and of the modules beside it that it imports, theirs too; comments and empty lines aside

Beside it are the modules of its own package and, where it lies in a folder of one's own, those in that folder. What is
installed and DynVision itself are not part of it: their versions are kept with the weights.
"""

from __future__ import annotations

import ast
import hashlib
import io
import os
import sys
import sysconfig
import tokenize
from collections.abc import Iterable, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from dynvision import plugins
from dynvision.config.losses import LOSSES
from dynvision.config.measures import OUTSIDE
from dynvision.config.models import MODELS, find_model, registered_name
from dynvision.config.solvers import SOLVERS
from dynvision.noise.kind import NOISES
from dynvision.stimuli.stimulus import STIMULI

PACKAGE = "dynvision"
INSTALLED = tuple({Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "purelib", "platlib")})


def source_hash(name: str, of_plugins: Iterable[str] = ()) -> str:
    """Return eight hexadecimal digits of the source of what is one's own; empty where all is of DynVision.

    Nothing is imported.

    Args:
        name: a model as ``model_name`` has it: ``package.module:Class``, or a class in a file placed in
            ``dynvision/models/``; empty for none.
        of_plugins: plugins as ``plugins`` has them.
    """
    found: dict[str, bytes] = {}
    for plugin in of_plugins:
        module, folder = plugins.place(plugin)
        _collect(module, folder or _root(module), found)
    if name and registered_name(name) not in MODELS:
        module = find_model(name).target.partition(":")[0]
        _collect(module, _root(module), found)
    if not found:
        return ""
    whole = hashlib.sha256()
    for current in sorted(found):
        whole.update(current.encode() + b"\0" + found[current] + b"\0")
    return whole.hexdigest()[:8]


def plugins_of_run(model: str, args: Mapping[str, Any], losses: Iterable[str]) -> tuple[str, ...]:
    """Return the plugins that the definitions of a run are from, by the names of its model, solver and losses."""
    given = [MODELS.outside(registered_name(model)), SOLVERS.outside(str(args.get("dynamics_solver", "")))]
    return tuple(sorted({*given, *(LOSSES.outside(name) for name in losses)} - {""}))


def plugins_of_experiment(stimulus: str, noise: str, measures: Iterable[str]) -> tuple[str, ...]:
    """Return the plugins that the definitions of an experiment are from, by the names of what it shows and measures."""
    given = [STIMULI.outside(stimulus), NOISES.outside(noise)]
    return tuple(sorted({*given, *(OUTSIDE.get(name, "") for name in measures)} - {""}))


def _collect(module: str, root: Path | None, found: dict[str, bytes]) -> None:
    """Add what is essential of a module and of those beside it that it imports to what was found."""
    waiting = [module] if root is not None else []
    while waiting and root is not None:
        current = waiting.pop()
        path = _file(root, current)
        if path is None or current in found:
            continue
        text = path.read_bytes()
        found[current] = _essential(text)
        waiting += [other for other in _imported(text, current, path) if _beside(other, module, root)]


def _root(module: str) -> Path | None:
    """The folder in which a module's top package, or the module itself, lies."""
    spec = PathFinder.find_spec(module.partition(".")[0], [*sys.path, os.getcwd()])
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).parent
    return None if spec.origin is None else Path(spec.origin).parent


def _file(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    candidates = (base.with_name(f"{base.name}.py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _beside(module: str, own: str, root: Path) -> bool:
    """Whether a module is one's own, too."""
    top = module.partition(".")[0]
    if top == PACKAGE:
        return False
    is_installed = any(root.resolve().is_relative_to(folder) for folder in INSTALLED)
    return top == own.partition(".")[0] or not is_installed


def _imported(text: bytes, module: str, path: Path) -> list[str]:
    """The modules that a file imports; of ``from a import b`` both a and a.b."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # the import says so
        return []
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    parents = [".".join(name.split(".")[:end]) for name in names for end in range(1, name.count(".") + 1)]
    return [name for name in {*names, *parents} if name]


def _essential(text: bytes) -> bytes:
    """A file without comments, empty lines and spaces at the ends of lines, for every version of Python the same."""
    try:
        lines = text.decode("utf-8").splitlines()
        for token in tokenize.tokenize(io.BytesIO(text).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
    except (tokenize.TokenError, SyntaxError, UnicodeDecodeError, IndexError):
        return text
    return "\n".join(line.rstrip() for line in lines if line.strip()).encode()
