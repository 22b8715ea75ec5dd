"""Make the notebooks of the tutorials: ``make notebooks``.

A tutorial is one page, ``docs/examples/NAME.md``. ``NAME.ipynb`` beside it has the same text and blocks as cells, with the
outputs of the last execution; the site shows those below the blocks. A page is edited, a notebook is not.

    text                           a Markdown cell
    ```python                      a code cell
    ```bash                        a cell of bash, which ends the notebook if a command fails
    ```yaml title="my/file.yaml"   a cell that writes this file
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import nbformat

from dynvision.files import write_text

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "examples"
FENCE = re.compile(
    r'^```(python|bash|\w+(?= title="))(?: title="([^"]+)")?\n(.*?)\n```$', re.MULTILINE | re.DOTALL
)
MOST_SECONDS = 600  # of one cell


def cells_of(text: str) -> Iterator[tuple[str, str]]:
    """Yield the kind, ``markdown`` or ``code``, and the source of each cell of a page."""
    end = 0
    for fence in FENCE.finditer(text):
        if between := text[end : fence.start()].strip():
            yield "markdown", between
        language, title, code = fence.groups()
        if title:
            yield "code", f"%%writefile {title}\n{code}"
        else:
            yield "code", code if language == "python" else f"%%bash -e\n{code}"
        end = fence.end()
    if between := text[end:].strip():
        yield "markdown", between


def notebook_of(page: Path) -> nbformat.NotebookNode:
    """Return a page as a notebook without outputs."""
    new = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    cells = []
    for number, (kind, source) in enumerate(cells_of(page.read_text(encoding="utf-8"))):
        cells.append(new[kind](source, id=f"cell-{number}"))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def execute(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Execute a notebook in a folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    from nbclient import NotebookClient

    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    paths = os.pathsep.join([str(ROOT), str(folder), os.environ.get("PYTHONPATH", "")])
    client = NotebookClient(
        notebook, timeout=MOST_SECONDS, record_timing=False, resources={"metadata": {"path": str(folder)}}
    )
    client.execute(
        env={
            **os.environ,
            "PATH": path,
            "PYTHONPATH": paths,
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }
    )
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _for_readers(cell.outputs, folder)


def _for_readers(outputs: Sequence[nbformat.NotebookNode], folder: Path) -> list[nbformat.NotebookNode]:
    """Outputs with what is printed in one piece, without progress, notes of libraries and the value of a last call."""
    kept: list[nbformat.NotebookNode] = []
    for output in outputs:
        if output.get("name") == "stderr" or output.output_type == "execute_result":
            continue
        if output.output_type != "stream":
            kept.append(output)
        elif kept and kept[-1].output_type == "stream":
            kept[-1].text += output.text
        else:
            kept.append(output)
    for output in kept:
        if output.output_type == "stream":
            output.text = re.sub(r"\n{2,}", "\n", output.text.replace(str(folder), "."))
    return kept


def with_kept_outputs(notebook: nbformat.NotebookNode, kept: Path) -> bool:
    """Give a notebook the outputs of an earlier one whose code is the same; return whether it is."""
    if not kept.is_file():
        return False
    old, new = (
        [cell for cell in one.cells if cell.cell_type == "code"] for one in (nbformat.read(kept, 4), notebook)
    )
    if [cell.source for cell in old] != [cell.source for cell in new]:
        return False
    for cell, earlier in zip(new, old, strict=True):
        cell.outputs, cell.execution_count = earlier.outputs, earlier.execution_count
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="tutorials by name; all if none is given")
    parser.add_argument("--text", action="store_true", help="execute only those whose code has changed")
    given = parser.parse_args()
    for name in given.names or sorted(page.stem for page in PAGES.glob("*.md")):
        notebook, kept = notebook_of(PAGES / f"{name}.md"), PAGES / f"{name}.ipynb"
        if not (given.text and with_kept_outputs(notebook, kept)):
            print(f"notebooks: executing {name}", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                execute(notebook, Path(folder))
        write_text(kept, nbformat.writes(notebook) + "\n")


if __name__ == "__main__":
    main()
