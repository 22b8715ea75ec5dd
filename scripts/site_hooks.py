"""What the build of the documentation makes: MathJax's file, pages of commands and keys, diagrams, outputs of notebooks.

The first two pages are written from what the program itself reads, the parsers of `dynvision.cli` and the schemas of
`dynvision.config`, so that they cannot differ from it. MathJax comes from the package index and is served by the site.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from notebooks import FENCE
from site_diagrams import diagrams

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "api"
# Pages that stand in the root of the repository, where readers of code look for them.
ROOT_PAGES = {
    "contributing.md": "CONTRIBUTING.md",
    "code-of-conduct.md": "CODE_OF_CONDUCT.md",
    "changelog.md": "CHANGELOG.md",
}
MATHJAX = "javascripts/mathjax/tex-svg.js"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is not in `docs/`."""
    for name, text in pages().items():
        files.append(File.generated(config, name, content=text))
    for name, svg in diagrams().items():
        files.append(File.generated(config, f"figures/{name}", content=svg))
    # One file that sets TeX as SVG, without fonts or further requests.
    files.append(File.generated(config, MATHJAX, abs_src_path=str(_mathjax())))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Replace ``[[other names of PACKAGE]]`` by the public names of a package that no page of the reference names.

    Below each block of a tutorial stands what its notebook prints and draws.
    """
    notebook = ROOT / "docs" / Path(page.file.src_uri).with_suffix(".ipynb")
    if notebook.is_file():
        markdown = with_outputs(markdown, notebook)
    return re.sub(r"^\[\[other names of ([\w.]+)\]\]$", _other_names, markdown, flags=re.MULTILINE)


def with_outputs(markdown: str, notebook: Path) -> str:
    """Return a page with the outputs of its notebook, and a link to it.

    Args:
        markdown: text of the page; its blocks are the code cells of the notebook, in their order.
        notebook: as `scripts/notebooks.py` makes it.
    """
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = iter([cell.outputs for cell in cells if cell.cell_type == "code"])
    title, rest = markdown.split("\n", 1)
    link = f"*This page is also a [notebook]({notebook.name}).*"
    return f"{title}\n\n{link}\n" + FENCE.sub(lambda fence: fence[0] + _shown(next(outputs)), rest)


def _shown(outputs: list[dict[str, Any]]) -> str:
    """Outputs of a cell in Markdown."""
    parts = []
    for output in outputs:
        if output["output_type"] == "stream":
            parts.append(f"```text\n{output['text'].rstrip()}\n```")
        elif picture := output["data"].get("image/png"):
            parts.append(f"![Output of the block above](data:image/png;base64,{''.join(picture.split())})")
    return "".join(f"\n\n{part}" for part in parts)


def _other_names(found: re.Match[str]) -> str:
    package = import_module(found[1])
    named = {
        name
        for page in REFERENCE.rglob("*.md")
        for name in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    return "\n\n".join(
        f"::: {full}" for name in package.__all__ if (full := f"{found[1]}.{name}") not in named
    )


def on_page_content(html: str, **_: object) -> str:
    """Leave the roles out that docstrings have before names: ``:class:`Trial` `` is `Trial`."""
    return re.sub(r":(?:attr|class|data|func|meth|mod):<code>~?", "<code>", html)


def pages() -> dict[str, str]:
    """The generated pages by the name that links give them."""
    from dynvision.config.generated import generated_files

    generated = {"command-line.md": command_line(), "configuration.md": generated_files()["README.md"]}
    return generated | {name: _of_the_root(source) for name, source in ROOT_PAGES.items()}


def _of_the_root(source: str) -> str:
    """A text of the repository's root, with its links as they are from the site."""
    text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
    for name, linked in ROOT_PAGES.items():
        text = text.replace(f"]({linked})", f"]({name})")
    return text


def command_line() -> str:
    """Every command with its arguments."""
    from dynvision.cli import COMMANDS, find_command

    lines = [
        "# Command line",
        "",
        "Each command has this text as `--help`. Durations and time constants are in ms.",
        "",
    ]
    for name, summary in COMMANDS.items():
        parser = argparse.ArgumentParser(
            prog=f"dynvision {name}", description=summary[0].upper() + summary[1:] + "."
        )
        find_command(name).add_arguments(parser)
        lines += [f"## {name}", "", *_described(parser)]
    return "\n".join(lines)


def _described(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A parser in words: what it does, its usage, a table of its arguments, then its actions in the same way."""
    formatter = argparse.HelpFormatter(parser.prog, width=100)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups)
    yield from (_plain(parser.description), "", "```text", formatter.format_help().strip(), "```", "")
    rows, actions = [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            actions = list(action.choices.values())
        elif not isinstance(action, argparse._HelpAction) and action.help != argparse.SUPPRESS:
            rows.append(
                f"| {_form(action)} | {_plain(formatter._expand_help(action) if action.help else '')} |"
            )
    if rows:
        yield from ("| argument | meaning |", "|---|---|", *rows, "")
    if parser.epilog:
        yield from (_plain(parser.epilog), "")
    for action in actions:
        yield from (f"### {action.prog.removeprefix('dynvision ')}", "", *_described(action))


def _form(action: argparse.Action) -> str:
    """How an argument is written: `--results DIR`."""
    value = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    if isinstance(value, tuple):
        value = " ".join(value)
    if action.choices is not None:
        value = "{" + ",".join(str(choice) for choice in action.choices) + "}"
    takes_value = action.nargs != 0
    forms = [f"{option} {value}" if takes_value else option for option in action.option_strings] or [value]
    return ", ".join(f"`{form}`" for form in forms)


def _plain(text: str | None) -> str:
    """Text on one line, whose characters mean nothing to Markdown."""
    line = " ".join((text or "").split())
    for character in "\\|<*_":
        line = line.replace(character, "&lt;" if character == "<" else "\\" + character)
    return line


def _mathjax() -> Path:
    found = find_spec("mathjax")
    assert found is not None and found.origin is not None, "the extra 'doc' brings django-static-mathjax"
    return Path(found.origin).parent / "static" / "mathjax" / "es5" / "tex-svg.js"
