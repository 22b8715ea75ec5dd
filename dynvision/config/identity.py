"""What identifies a run: what differs from the defaults of its schema version, that version, and the source of own code.

    run id    {model}_{data}_s{seed}_{hash8},   hash8 of the version and of every value that is not its default

A new key with a default that changes nothing gives no run another id. A changed default raises `SCHEMA_VERSION`, so that
equal ids mean equal networks. A frozen configuration is complete and carries its version and its ids, which are read from
there; one of an older version is migrated when it is read, and keeps its id.

A model of one's own and plugins count with the hash of their source, since an edited class is another network:

    hash8 of the module and of the modules beside it that it imports, theirs too; comments and empty lines aside

Beside it are the modules of its own package and, where it lies in a folder of one's own, those in that folder. What is
installed and DynVision itself are not part of it: their versions are kept with the weights.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import sys
import sysconfig
import tokenize
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from dynvision import plugins
from dynvision.config.measures import OUTSIDE
from dynvision.config.model import SOLVERS
from dynvision.config.models import MODELS, find_model, registered_name
from dynvision.config.optimization import LOSSES
from dynvision.config.section import Section
from dynvision.errors import InputError
from dynvision.noise.kind import NOISES
from dynvision.stimuli.stimulus import STIMULI

SCHEMA_VERSION = 2
VERSION, RUN_ID, DATA_ID, SOURCE = "schema_version", "run_id", "data_id", "model_source"
PLUGINS = "plugins"


IMAGES_OF_1 = (
    "name", "group", "resolution", "max_resolution", "n_channels", "test_fraction", "validation_fraction", "split_seed",
    "write_mode", "jpeg_quality", "compress_probability", "page_size",
)  # fmt: skip


def _from_1(values: dict[str, Any]) -> dict[str, Any]:
    """Version 1 named no version and hashed the whole configuration. Its keys and defaults are those of version 2."""
    if not {"model", "data", "training", "seed"} <= set(values):  # of imported weights, which are of no run
        return values
    data = values.get("data") or {}
    images = {name: data[name] for name in IMAGES_OF_1 if name in data}
    model = str((values.get("model") or {}).get("name", "")).rpartition(":")[2]
    front = f"{model}_{path_name(str(data.get('name', '')))}_s{values.get('seed')}"
    data_front = f"{path_name(str(data.get('name', '')))}_s{data.get('split_seed')}"
    return {**values, RUN_ID: f"{front}_{hash_of(values)}", DATA_ID: f"{data_front}_{hash_of(images)}"}


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}


def migrate(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a frozen configuration as this version writes it, its ids unchanged.

    Raises:
        InputError: it is of a version that does not exist yet.
    """
    migrated = dict(values)
    version = migrated.pop(VERSION, 1)
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        raise InputError(
            f"{VERSION}={version!r} is not known; this is DynVision with version {SCHEMA_VERSION} of the configuration, "
            "and a newer one is needed to read it"
        )
    for older in range(version, SCHEMA_VERSION):
        migrated = MIGRATIONS[older](migrated)
    return migrated


def digest(section: Section) -> str:
    """Return eight hexadecimal digits of what identifies a section."""
    # With the version, since equal differences from other defaults make another network.
    return hash_of({"schema": SCHEMA_VERSION, **section.differences()})


def path_name(name: str) -> str:
    """Return a data set's name as part of a path: ``folder:/my/Cats & dogs`` becomes ``Cats-dogs``."""
    last = Path(name.partition(":")[2] or name).name
    return "-".join("".join(c if c.isalnum() else " " for c in last).split()) or "data"


def hash_of(values: Any, n_digits: int = 8) -> str:
    """Return hexadecimal digits of the SHA-256 of canonical JSON."""
    # The order of keys and the spacing of a file are no part of what a run is.
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:n_digits]


PACKAGE = "dynvision"
KNOWN_TEXTS = 256  # files are parsed once, though a sweep asks for each run; an edit is another text
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
        text, is_package = path.read_bytes(), path.name == "__init__.py"
        found[current] = _essential(text)
        waiting += [other for other in _imported(text, current, is_package) if _beside(other, module, root)]


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


@lru_cache(maxsize=KNOWN_TEXTS)
def _imported(text: bytes, module: str, is_package: bool) -> list[str]:
    """The modules that a file imports; of ``from a import b`` both a and a.b."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # the import reports it
        return []
    package = module if is_package else module.rpartition(".")[0]
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


@lru_cache(maxsize=KNOWN_TEXTS)
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
