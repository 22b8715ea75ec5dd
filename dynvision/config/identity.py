"""What identifies a run: what differs from the defaults of its schema version, and that version.

    run id    {model}_{data}_s{seed}_{hash8},   hash8 of the version and of every value that is not its default

A model of one's own counts with the hash of its source, too (:mod:`dynvision.config.own_source`): an edited class is
another run. A new key with a default that changes nothing gives no run another id. A changed default raises
`SCHEMA_VERSION`, so that equal ids mean equal networks. A frozen configuration is complete and carries its version and its
ids, which are read from there; one of an older version is migrated when it is read, and keeps its id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dynvision.config.section import Section
from dynvision.errors import InputError

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
    return hash_of({"schema": SCHEMA_VERSION, **section.differences()})


def path_name(name: str) -> str:
    """Return a data set's name as part of a path: ``folder:/my/Cats & dogs`` becomes ``Cats-dogs``."""
    last = Path(name.partition(":")[2] or name).name
    return "-".join("".join(c if c.isalnum() else " " for c in last).split()) or "data"


def hash_of(values: Mapping[str, Any]) -> str:
    """Return eight hexadecimal digits of the SHA-256 of canonical JSON."""
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]
