"""The source of a model of one's own, as part of what a run is: another class is another network.

    hash8 of the class's module and of the modules beside it that it imports, theirs too; comments and empty lines aside

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
from importlib.machinery import PathFinder
from pathlib import Path

from dynvision.config.models import MODELS, find_model, registered_name

PACKAGE = "dynvision"
INSTALLED = tuple({Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "purelib", "platlib")})


def source_hash(name: str) -> str:
    """Return eight hexadecimal digits of the source of a model of one's own; empty for a model of DynVision.

    Nothing is imported.

    Args:
        name: as ``model_name`` has it: ``package.module:Class``, or a class in a file placed in ``dynvision/models/``.
    """
    if registered_name(name) in MODELS:
        return ""
    module = find_model(name).target.partition(":")[0]
    root = _root(module)
    if root is None:
        return ""
    found: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        current = waiting.pop()
        path = _file(root, current)
        if path is None or current in found:
            continue
        text = path.read_bytes()
        found[current] = _essential(text)
        waiting += [other for other in _imported(text, current, path) if _beside(other, module, root)]
    whole = hashlib.sha256()
    for current in sorted(found):
        whole.update(current.encode() + b"\0" + found[current] + b"\0")
    return whole.hexdigest()[:8]


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
