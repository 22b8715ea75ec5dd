"""Seeded generators of configurations and files that something is wrong with, as people and disks make them."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import yaml

# What can be written into config_workflow.yaml alone, with a value of each kind somewhere.
BASE: dict[str, Any] = {
    "model_name": ["DyRCNNx2"],
    "model_args": {
        "tau": {"layer1": 6, "layer2": 9},
        "rctype": "full",
        "trc": 4,
        "n_timesteps": 6,
        "skip": True,
        "feedback": "none",
        "pattern": "101",
        "dynamics_solver": "euler",
        "train_tau": False,
        "max_weight_init": 0.01,
    },
    "model_defaults": {"DyRCNN": {"tff": 0, "dt": 2}},
    "category": [{"model_args.tsk": [0, 4]}, "slow"],
    "paired": [{"tff": [0, 2], "training.weight_decay": [0, 0.1]}],
    "categories": {"slow": {"training.learning_rate": [0.001, 0.002]}},
    "data_name": "mnist",
    "data": {
        "group": [0, 1, 2],
        "resolution": 28,
        "validation_fraction": 0.2,
        "test_transform": [{"grey": {}}],
        "normalization": "measured",
    },
    "data_defaults": {"mnist": {"training": {"batch_size": 32}, "data": {"write_mode": "raw"}}},
    "groups": {"mnist": {"few": [0, 1, 2]}},
    "training": {
        "epochs": 2,
        "lr": 0.001,
        "optimizer": "SGD",
        "optimizer_args": {"momentum": 0.9, "nesterov": True},
        "scheduler": "StepLR",
        "scheduler_args": {"step_size": 1, "gamma": 0.5},
        "loss": [{"CrossEntropyLoss": 1}, {"ActivityLoss": {"weight": 0.1, "monitor": "state", "layers": ["layer1"]}}],
        "learning_rate_factors": {"recurrence": 0.2},
        "precision": "32",
        "init_with_pretrained": None,
        "trainable": ["layer1.*"],
    },
    "seed": [1, 2],
    "experiment": ["mine", "other"],
    "experiments": {
        "mine": {
            "stimulus": {"type": "pulse", "duration_ms": 8, "contrast": 0.5},
            "noise": {"type": "gaussian", "ssnr": 0.5},
            "parameter": "contrast",
            "values": [0.25, 0.5, 1],
            "recorded_ms": 20,
            "baseline_ms": 2,
            "model_args": {"t_idle": 4},
            "measures": ["peak", "rise_time_ms", "c50"],
            "group": {"mnist": [0, 1]},
            "n_images": 5,
        },
        "other": {"like": "mine", "parameter": "duration_ms", "values": [2, 4], "measures": ["peak"]},
    },
    "execution": {"loader": "auto", "num_workers": 0, "checkpoint_minutes": 5},
    "visualization": {"palette": {"layer1": "#ff0000"}, "figures": {"mine": ["dynamics"]}, "dpi": 100},
    "scorecard": {"experiments": {}, "areas": {"V1": "layer1"}},
    "results_dir": "results",
}  # fmt: skip
OTHER_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 7, 2**31, -(2**63), 10**30, 10**400, 0.5, -0.1, 1e-300, 1e300, float("nan"), float("inf"),
    "", "x", "true", "1", "010", "1e5", "nan", "none", "all", "default", "é\u4e2d\U0001f600", "a\nb", "a: b", "\u202ex",
    "-x", "{x}", "~", "$NOWHERE", "/", "../..", "a" * 3000, "layer1", "DyRCNNx2", "folder:", "folder:/nowhere", "a.b:C",
    "CrossEntropyLoss", [], [[]], [None], [1, 1], ["a", "a"], list(range(50)), [True, 2], {}, {"": 1}, {"a": {"b": {}}},
    {"type": "pair"}, {"name": "mnist"}, {"first": 1, "last": 2}, {"first": 0}, [{}], [{"a": 1, "b": 2}], {"\u4e2d": None},
]  # fmt: skip
Path_ = tuple[Any, ...]


def mutated_configuration(seed: int) -> str:
    """Return the text of a ``config_workflow.yaml`` with one to three things wrong, or none that matters."""
    chance = random.Random(seed)
    values = copy.deepcopy(BASE)
    for name in chance.sample(list(values), chance.randrange(0, 8)):  # shorter ones, too
        if chance.random() < 0.7:
            del values[name]
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        chance.choice(MUTATIONS)(values, chance)
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=200)
    return chance.choice(TEXTS)(text, chance) if chance.random() < 0.25 else text


def _paths(values: Any, path: Path_ = ()) -> list[Path_]:
    """Every key and place in a list, from the outermost."""
    found = [path] if path else []
    items = (
        values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    )
    for name, inner in items:
        found += _paths(inner, (*path, name))
    return found


def _parent(values: Any, path: Path_) -> Any:
    for name in path[:-1]:
        values = values[name]
    return values


def _random_path(values: Any, chance: random.Random) -> Path_ | None:
    paths = _paths(values)
    return chance.choice(paths) if paths else None


def _other_value(values: Any, chance: random.Random) -> None:
    path = _random_path(values, chance)
    if path is not None:
        _parent(values, path)[path[-1]] = copy.deepcopy(chance.choice(OTHER_VALUES))


def _list_for_scalar(values: Any, chance: random.Random) -> None:
    path = _random_path(values, chance)
    if path is not None:
        parent = _parent(values, path)
        parent[path[-1]] = chance.choice(
            [[parent[path[-1]]], {"value": parent[path[-1]]}, [parent[path[-1]]] * 2]
        )


def _misspelt(values: Any, chance: random.Random) -> None:
    paths = [path for path in _paths(values) if isinstance(path[-1], str) and path[-1]]
    if not paths:
        return
    path = chance.choice(paths)
    parent, name = _parent(values, path), path[-1]
    at = chance.randrange(len(name))
    forms = [
        name[:at] + name[at + 1 :],
        name[:at] + name[at] + name[at:],
        name.upper(),
        name + "s",
        "é" + name,
    ]
    other = chance.choice(forms)
    parent[other] = parent.pop(name)


def _other_place(values: Any, chance: random.Random) -> None:
    """A value stands where another one belongs."""
    one, other = _random_path(values, chance), _random_path(values, chance)
    if one is not None and other is not None and one != other[: len(one)]:
        _parent(values, one)[one[-1]] = copy.deepcopy(_parent(values, other)[other[-1]])


NEW_KEYS = [
    "x",
    "",
    "name",
    "args",
    "model",
    "mode",
    "idle",
    "stim",
    "like",
    "type",
    "plugins",
    "study",
    "\u4e2d",
    "1",
]


def _new_key(values: Any, chance: random.Random) -> None:
    places = [path for path in _paths(values) if isinstance(_parent(values, path), dict)]
    if places:
        name = chance.choice(NEW_KEYS)
        _parent(values, chance.choice(places))[name] = copy.deepcopy(chance.choice(OTHER_VALUES))


def _removed(values: Any, chance: random.Random) -> None:
    path = _random_path(values, chance)
    if path is not None:
        del _parent(values, path)[path[-1]]


MUTATIONS: list[Callable[[Any, random.Random], None]] = [
    _other_value, _other_value, _other_value, _list_for_scalar, _misspelt, _other_place, _new_key, _removed
]  # fmt: skip


def _line_twice(text: str, chance: random.Random) -> str:
    lines = text.splitlines()
    at = chance.randrange(len(lines)) if lines else 0
    return "\n".join([*lines[: at + 1], *lines[at:]])


def _cut(text: str, chance: random.Random) -> str:
    return text[: chance.randrange(len(text) + 1)]


CHARACTERS = ["\t", "]", "{", '"', "'", "&", "*a", "!!", ": ", "- ", "#", "\x00", "\u2028", "%", "\n---\n"]


def _character(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(CHARACTERS) + text[at:]


def _indented(text: str, chance: random.Random) -> str:
    lines = text.splitlines() or [""]
    at = chance.randrange(len(lines))
    lines[at] = chance.choice(["  ", "\t", " "]) + lines[at]
    return "\n".join(lines)


TEXTS: list[Callable[[str, random.Random], str]] = [
    _line_twice,
    _line_twice,
    _cut,
    _character,
    _character,
    _indented,
]


def damaged(content: bytes, seed: int) -> bytes:
    """Return the bytes of a file after something happened to it."""
    chance = random.Random(seed)
    return chance.choice(DAMAGES)(content, chance)


def _flipped(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 8, 100))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _zeroed(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content) + 1)
    end = min(len(content), start + chance.choice((16, 512, 4096, 10**9)))
    return content[:start] + bytes(end - start) + content[end:]


def _doubled(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    return content[:at] + content[max(0, at - 64) :]


DAMAGES: list[Callable[[bytes, random.Random], bytes]] = [
    lambda content, chance: content[: chance.randrange(len(content) + 1)],
    lambda content, chance: content[chance.randrange(len(content) + 1) :],
    _flipped, _flipped, _zeroed, _doubled,
    lambda content, chance: b"",
    lambda content, chance: bytes(len(content)),
    lambda content, chance: chance.randbytes(len(content)),
    lambda content, chance: content + chance.randbytes(100),
    lambda content, chance: content[:64] + chance.randbytes(max(0, len(content) - 64)),
    lambda content, chance: b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n",
    lambda content, chance: b"<!DOCTYPE html><html>login</html>",
    lambda content, chance: b'{"message": "Not Found"}',
    lambda content, chance: "\ufeff\u4e2d\n".encode("utf-16"),
    lambda content, chance: content.replace(b"\n", b"\r\n"),
]  # fmt: skip
