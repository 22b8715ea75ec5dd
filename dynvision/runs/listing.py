"""The runs that are there: how far each is, how well it does, its parameters; and those of them that are asked for.

trained     weights, test and their record are there
training    a process on this machine trains it
stopped     it was begun; the next training resumes from its last checkpoint
waiting     nothing but its configuration is there
"""

from __future__ import annotations

import contextlib
import csv
import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from dynvision.config.identity import DATA_ID, RUN_ID, VERSION
from dynvision.config.run import RunConfig
from dynvision.config.section import RULE
from dynvision.config.yaml_text import parse, read_yaml
from dynvision.errors import InputError, unknown_name
from dynvision.parameter_names import MODEL_ALIASES
from dynvision.runs.made_from import OF_TRAINING, TRAINED, read_record
from dynvision.runs.plan import ResultPaths
from dynvision.trained import CONFIG

STATE = ("status", "epoch", "test_accuracy", "date")
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "!=": operator.ne, ">=": operator.ge, "<=": operator.le, "=": operator.eq, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


def flat_parameters(run: RunConfig) -> dict[str, Any]:
    """Every parameter of a run by its dotted name, its id first."""
    return {"run_id": run.run_id, **flatten(run.model_dump(mode="json"))}


def flatten(values: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """Nested keys as dotted names; a model's argument with a value for each layer is one: ``5 to 20``, ``V1 8, IT 30``.

    Args:
        values: keys and values.
        within: dotted names of the keys that they are in, ending in a dot.
    """
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if not isinstance(value, Mapping) or not value:
            flat[f"{within}{name}"] = value
        elif within == "model.args.":
            flat[f"{within}{name}"] = _by_layer(value)
        else:
            flat |= flatten(value, f"{within}{name}.")
    return flat


def _by_layer(values: Mapping[str, Any]) -> str:
    shown = {
        name: f"{value:.12g}" if isinstance(value, float) else str(value) for name, value in values.items()
    }
    return " to ".join(shown.values()) if set(values) == RULE else ", ".join(map(" ".join, shown.items()))


def find_run_id(given: str, known: Sequence[str], others: Iterable[str] = ()) -> str:
    """Return the run that is meant: by its id, its folder, or the beginning of its id if no other begins so.

    Args:
        given: what the user wrote.
        known: ids of the runs that there are.
        others: further names that could have been given, for the error.

    Raises:
        InputError: no run or several runs begin so.
    """
    name = Path(given).name
    found = [name] if name in known else [run_id for run_id in known if run_id.startswith(name)]
    if not found:
        raise unknown_name("run", given, [*known, *others])
    if len(found) > 1:
        raise InputError(f"several runs begin with {given!r}: {', '.join(found)}; give more of the id")
    return found[0]


def list_runs(paths: ResultPaths) -> list[dict[str, Any]]:
    """Return a row for each run: its id, its state and its parameters by their dotted names.

    Parameters are as they were frozen: a run of an earlier version is listed, too, whatever keys it has.
    """
    at_work = _in_training()
    rows = []
    for run_id in paths.run_ids():
        folder = paths.run(run_id)
        values = read_yaml(folder / CONFIG).items()
        frozen = {name: value for name, value in values if name not in (DATA_ID, RUN_ID, VERSION)}
        rows.append({"run_id": run_id, **_state(folder, at_work), **flatten(frozen)})
    return rows


def _state(folder: Path, at_work: set[Path]) -> dict[str, Any]:
    tested: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        tested = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    with contextlib.suppress(OSError), open(folder / "training.csv", encoding="utf-8") as file:
        tested.setdefault("epochs", sum(1 for _ in csv.reader(file)) - 1)
    record = read_record(folder / TRAINED) or {}
    status = "stopped" if (folder / "checkpoints" / "last.ckpt").exists() else "waiting"
    if record and all((folder / name).exists() for name in OF_TRAINING):
        status = "trained"
    elif folder.absolute() in at_work:
        status = "training"
    accuracy = tested.get("test_accuracy") if status == "trained" else None
    return {
        "status": status,
        "epoch": tested.get("epochs"),
        "test_accuracy": None if accuracy is None else round(float(accuracy), 4),
        "date": record.get("date"),
    }


def _in_training() -> set[Path]:
    """Folders of the runs that processes of this machine train."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError, ValueError, IndexError):
            words = process.cmdline()
            if "train" in words[:4] and "--output" in words:
                found.add(Path(process.cwd(), words[words.index("--output") + 1]))
    return found


@dataclass(frozen=True)
class RowFilter:
    """What the rows that are asked for have in common.

    Attributes:
        name: a column, or the end of its dotted name.
        compare: a key of `COMPARISONS`.
        value: what the column's value is compared with.
    """

    name: str
    compare: str
    value: Any

    @classmethod
    def read(cls, text: str) -> RowFilter:
        """Read ``name=value``, also with another comparison than ``=``.

        Raises:
            InputError: it is not that.
        """
        found = re.fullmatch(r"\s*([\w.]+)\s*(!=|>=|<=|=|>|<)\s*(.*)", text)
        if found is None:
            raise InputError(
                f"--where {text!r} is not name=value, e.g. trc=10, status=trained or 'test_accuracy>0.9'"
            )
        return cls(MODEL_ALIASES.get(found[1], found[1]), found[2], parse(found[3], f"--where {text}"))

    def column(self, names: Iterable[str]) -> str:
        """Return the column that is meant.

        Raises:
            InputError: there is none, or several are called so.
        """
        known = list(names)
        fitting = (
            [self.name] if self.name in known else [name for name in known if name.endswith(f".{self.name}")]
        )
        if not fitting:
            raise unknown_name("parameter", self.name, known, key="--where")
        if len(fitting) > 1:
            raise InputError(
                f"--where {self.name}: several parameters end so: {', '.join(fitting)}; write one of them"
            )
        return fitting[0]

    def holds(self, value: Any) -> bool:
        """Return whether a value is as it should be; numbers are compared as numbers, and nothing is beside nothing."""
        wanted = self.value
        if isinstance(wanted, bool) != isinstance(value, bool) or (wanted is None) != (value is None):
            return self.compare == "!="
        number = all(isinstance(one, (int, float)) for one in (value, wanted))
        if not number and not (isinstance(value, (list, dict)) and isinstance(wanted, (list, dict))):
            value, wanted = str(value), str(wanted)
        try:
            return COMPARISONS[self.compare](value, wanted)
        except TypeError:
            raise InputError(f"--where {self.name}: {value!r} cannot be compared with {wanted!r}") from None


def chosen(rows: Sequence[Mapping[str, Any]], conditions: Sequence[RowFilter]) -> list[Mapping[str, Any]]:
    """Return the rows that meet all conditions.

    Raises:
        InputError: a condition is of no column.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [(condition, condition.column(names)) for condition in conditions] if rows else []
    return [row for row in rows if all(one.holds(row.get(column)) for one, column in columns)]


def places_of(paths: ResultPaths, run_id: str) -> list[Path]:
    """Return everything that is there of a run; its images are of other runs, too."""
    root = paths.root
    folders = [paths.run(run_id)]
    folders += [path for name in ("experiments", "comparisons") for path in (root / name).glob(f"*/{run_id}")]
    folders += [root / name / run_id for name in ("dynamics", "scorecard")]
    files = [path for kind in ("logs", "benchmarks") for path in (root / kind).rglob(f"{run_id}.*")]
    return [path for path in (*folders, *files) if path.exists()]
