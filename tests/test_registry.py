"""The registry: names to definitions, found by being there, imported when they are used."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

import dynvision
from dynvision.errors import InputError
from dynvision.registry import Registry

PACKAGE = Path(dynvision.__file__).parent


def test_definitions_are_found_by_name_and_alias_in_the_order_of_registration() -> None:
    shapes: Registry[int] = Registry("shape", key="shape.type")
    shapes.add("square", 4, "quadrat")
    shapes.add("triangle", 3)
    assert (shapes["square"], shapes["quadrat"], shapes.canonical("quadrat")) == (4, 4, "square")
    assert list(shapes) == ["square", "triangle"] and "quadrat" in shapes and "circle" not in shapes


def test_an_unknown_name_is_answered_with_the_nearest_one_and_the_key() -> None:
    shapes: Registry[int] = Registry("shape", key="shape.type")
    shapes.add("pentagon", 5)
    with pytest.raises(
        InputError, match=r"unknown shape 'pentagn' \(key shape.type\); did you mean 'pentagon'\?"
    ):
        shapes["pentagn"]


def test_a_taken_name_is_refused_and_changes_nothing() -> None:
    shapes: Registry[int] = Registry("shape")
    shapes.add("square", 4, "quadrat")
    for names in (("square",), ("quadrat",), ("box", "quadrat")):
        with pytest.raises(InputError, match="is taken"):
            shapes.add(names[0], 5, *names[1:])
    assert list(shapes) == ["square"] and shapes["square"] == 4


def test_files_of_the_package_are_imported_at_the_first_look_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_shapes"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from dynvision.registry import Registry\nshapes = Registry('shape', package='some_shapes')\n"
    )
    (package / "square.py").write_text(
        "from some_shapes import shapes\n@shapes.register('square')\ndef square():\n    return 4\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from some_shapes import shapes

    assert "some_shapes.square" not in sys.modules
    assert shapes["square"]() == 4


def test_a_definition_registered_by_its_place_is_imported_when_it_is_looked_up() -> None:
    numbers: Registry[float] = Registry("number")
    numbers.add("pi", "math:pi")
    assert 3.14 < numbers["pi"] < 3.15


LAZY = [
    path.parent.name for path in sorted(PACKAGE.glob("*/__init__.py")) if "lazy_names" in path.read_text()
]


@pytest.mark.parametrize("name", LAZY)
def test_names_of_a_package_that_are_imported_late_are_there(name: str) -> None:
    package = importlib.import_module(f"dynvision.{name}")
    for offered in package.__all__:
        assert getattr(package, offered) is not None
    with pytest.raises(AttributeError, match=rf"module 'dynvision.{name}' has no attribute 'Absent'"):
        package.Absent  # noqa: B018
