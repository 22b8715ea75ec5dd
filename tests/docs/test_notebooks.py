"""The notebooks of the tutorials: the blocks of their pages, with outputs, and each can be executed."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "examples").glob("*.md"))
FAST = ("first-figure", "own-model")  # executed by `make test`; the others by `make test-all`


def script(name: str) -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


notebooks = script("notebooks")


def test_each_tutorial_is_a_page_and_a_notebook() -> None:
    names = {"compare-in-time", "cortical", "first-figure", "own-images", "own-model", "rsa"}
    assert names <= {page.stem for page in PAGES}
    assert {page.stem for page in PAGES} == {path.stem for path in PAGES[0].parent.glob("*.ipynb")}
    assert {*FAST} < {page.stem for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_is_its_page_with_outputs(page: Path) -> None:
    kept = nbformat.read(page.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(kept)
    made = notebooks.notebook_of(page)
    assert [(cell.cell_type, cell.source) for cell in kept.cells] == [
        (cell.cell_type, cell.source) for cell in made.cells
    ], f"{page.name} has changed; run 'python scripts/notebooks.py --text'"
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        printed = [output for output in cell.outputs if output.output_type == "stream"]
        drawn = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        assert len(cell.outputs) == len(printed) + len(drawn)
        assert bool(drawn) == ("plt." in cell.source)
        assert printed or "print(" not in cell.source


def test_text_and_blocks_are_cells(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n\n```python\na = 1\n```\n\n```text\nto read\n```\n\n"
        '```bash\ndynvision --help\n```\n```yaml title="x/y.yaml"\nk: 1\n```\n\nEnd\n'
    )
    assert [(cell.cell_type, cell.source) for cell in notebooks.notebook_of(page).cells] == [
        ("markdown", "# Title"),
        ("code", "a = 1"),
        ("markdown", "```text\nto read\n```"),
        ("code", "%%bash -e\ndynvision --help"),
        ("code", "%%writefile x/y.yaml\nk: 1"),
        ("markdown", "End"),
    ]


def test_a_changed_text_keeps_the_outputs_and_changed_code_does_not(tmp_path: Path) -> None:
    page, kept = tmp_path / "page.md", tmp_path / "page.ipynb"
    page.write_text("Old\n\n```python\nprint(1)\n```\n")
    notebook = notebooks.notebook_of(page)
    assert not notebooks.with_kept_outputs(notebook, kept)
    notebook.cells[1].outputs, notebook.cells[1].execution_count = (
        [nbformat.v4.new_output("stream", text="1\n")],
        1,
    )
    kept.write_text(nbformat.writes(notebook))
    page.write_text("New\n\n```python\nprint(1)\n```\n")
    new = notebooks.notebook_of(page)
    assert notebooks.with_kept_outputs(new, kept)
    assert new.cells[0].source == "New" and new.cells[1].outputs[0].text == "1\n"
    page.write_text("New\n\n```python\nprint(2)\n```\n")
    assert not notebooks.with_kept_outputs(notebooks.notebook_of(page), kept)


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="needs the extra 'doc'")
def test_the_site_shows_outputs_below_their_blocks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python\nprint(1)\n```\n\n```python\nplt.plot()\n```\n\nEnd\n")
    notebook = notebooks.notebook_of(page)
    first, second = (cell for cell in notebook.cells if cell.cell_type == "code")
    first.outputs = [nbformat.v4.new_output("stream", text="1\n")]
    second.outputs = [nbformat.v4.new_output("display_data", {"image/png": "QUJD\n"})]
    path = page.with_suffix(".ipynb")
    path.write_text(nbformat.writes(notebook))
    shown = script("site_hooks").with_outputs(page.read_text(), path)
    assert "print(1)\n```\n\n```text\n1\n```\n" in shown
    assert "plt.plot()\n```\n\n![Output of the block above](data:image/png;base64,QUJD)\n\nEnd" in shown
    assert "(page.ipynb)" in shown


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[] if page.stem in FAST else [pytest.mark.slow]) for page in PAGES],
    ids=lambda page: page.stem,
)
def test_a_notebook_can_be_executed(page: Path, tmp_path: Path) -> None:
    notebook = notebooks.notebook_of(page)
    notebooks.execute(notebook, tmp_path)  # raises where a cell fails
    if page.stem not in FAST:  # and again in the same folder, as a reader does
        notebooks.execute(notebooks.notebook_of(page), tmp_path)
    assert not re.search(r"/(home|root|tmp|work)/", nbformat.writes(notebook))
    for cell in nbformat.read(page.with_suffix(".ipynb"), as_version=4).cells:
        assert not any("/tmp/" in str(output) for output in cell.get("outputs", []))
