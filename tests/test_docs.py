"""The pages of the documentation: links lead somewhere, commands can be planned or parsed, code imports what there is."""

from __future__ import annotations

import argparse
import ast
import importlib
import itertools
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from dynvision.cli import COMMANDS, find_command
from dynvision.runs import plan_workflow

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
RULES = [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]
GENERATED = (
    *("changelog.md", "code-of-conduct.md", "command-line.md", "configuration.md", "contributing.md"),
    *("figures/packages.svg", "figures/blocks.svg", "figures/files.svg"),
)  # by scripts/site_hooks.py
TARGETS = {name for path in RULES for name in re.findall(r"^rule (\w+):", path.read_text(), re.MULTILINE)}


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def commands(program: str) -> dict[str, list[str]]:
    """Lines of code that call a program, by page; a block of ``text`` needs what its page makes."""
    found: dict[str, list[str]] = {}
    for page in PAGES:
        text = re.sub(r"^```text\n.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
        for line in re.findall(rf"^(?:    )?({program}(?: .*)?)$", text, re.MULTILINE):
            if line.count("'") % 2:
                continue  # goes on over lines, in a block that is run as it stands
            command = re.split(r" [#|] ?", line)[0].strip()
            found.setdefault(str(page.relative_to(DOCS)), []).append(command)
    return found


def heading_links(page: Path) -> set[str]:
    """The anchors that a page offers: its headings in lower case, with hyphens for blanks."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        if target.startswith("http") or linked.resolve() in [DOCS / name for name in GENERATED]:
            continue
        if not linked.exists() or (anchor and anchor not in heading_links(linked)):
            yield f"{page.name}: {target}"


def test_links_lead_somewhere() -> None:
    assert [link for page in PAGES for link in dead_links(page)] == []


@pytest.mark.parametrize("page", commands("snakemake"))
def test_what_snakemake_is_told_can_be_planned(page: str, tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("targets", nargs="*")
    parser.add_argument("-n", action="store_true")
    parser.add_argument("-j", type=int)
    parser.add_argument("--config", nargs="+", default=[])
    parser.add_argument("--configfile")  # written by a command, whose test plans it
    for command in commands("snakemake")[page]:
        given = parser.parse_args(shlex.split(command)[1:])
        assert set(given.targets) <= TARGETS, command
        values = (one.partition("=") for one in given.config)
        settings = {name: yaml.safe_load(value) for name, _, value in values}
        assert plan_workflow(ROOT / "config", {**settings, "results_dir": str(tmp_path)}).runs, command


@pytest.mark.parametrize("page", commands("dynvision"))
def test_commands_of_the_package_can_be_parsed(page: str) -> None:
    for command in commands("dynvision")[page]:
        _, name, *rest = shlex.split(command.partition(" > ")[0])
        parser = argparse.ArgumentParser(prog=f"{page}: {command}", exit_on_error=False)
        find_command(name).add_arguments(parser)
        assert parser.parse_args(rest), command


def test_commands_in_the_text_exist() -> None:
    named = {name for page in PAGES for name in re.findall(r"[`'](?:dynvision) ([a-z-]+)", text_of(page))}
    assert named <= set(COMMANDS)


def test_code_imports_what_there_is() -> None:
    missing = []
    blocks = [
        block for page in PAGES for block in re.findall(r"```python\n(.*?)```", text_of(page), re.DOTALL)
    ]
    for node in (node for block in blocks for node in ast.walk(ast.parse(block))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("dynvision"):
            module = importlib.import_module(str(node.module))
            offered = {*dir(module), *getattr(module, "__all__", ())}
            missing += [f"{node.module}.{alias.name}" for alias in node.names if alias.name not in offered]
    assert len(blocks) > 20 and missing == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = text_of(ROOT / "mkdocs.yml")
    pages = [str(page.relative_to(DOCS)) for page in PAGES]
    assert [page for page in pages if not re.search(rf"[-:] {re.escape(page)}\n", navigation)] == []


def test_every_figure_is_shown_by_a_page() -> None:
    text = "".join(map(text_of, [*PAGES, ROOT / "README.md"]))
    assert [
        path.name for path in (DOCS / "figures").rglob("*.*") if f"{path.parent.name}/{path.name}" not in text
    ] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    for module in ("mathjax", "mkdocstrings"):
        pytest.importorskip(module, reason="the extra 'doc' is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_asks_no_other_server(site: Path) -> None:
    """Scripts, styles, images and fonts are its own; only links that a reader clicks lead elsewhere."""
    for page in site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(r"""<(?:script|img|iframe|source)[^>]* src=["']?([^"' >]+)""", html)
        loaded += re.findall(
            r"""<link rel=["']?(?:stylesheet|icon|preload)[^>]* href=["']?([^"' >]+)""", html
        )
        assert [target for target in loaded if re.match(r"(https?:)?//", target)] == [], page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )['\"]?(https?:)?//", style.read_text(encoding="utf-8")), (
            style.name
        )


def test_links_of_the_site_lead_to_files(site: Path) -> None:
    """Also where a browser reads the site from a folder, which has no index of folders."""
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue
        html = page.read_text(encoding="utf-8")
        for target in re.findall(r"""<a [^>]*href=["']?([^"' >#?]+)""", html):
            if not re.match(r"(https?:|mailto:)", target):
                linked = page.parent / target
                assert linked.is_file(), f"{page.name} links to {target}"


def test_equations_are_set_by_the_copy_of_mathjax(site: Path) -> None:
    html = (site / "dynamics.html").read_text(encoding="utf-8")
    assert '<div class="arithmatex">' in html and "$$" not in html
    sources = re.findall(r'<script src="?([^"> ]+)', html)
    [mathjax] = [source for source in sources if source.endswith("tex-svg.js")]
    assert (site / mathjax).stat().st_size > 1_000_000


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    """The reference has an anchor for each name that a package offers."""
    anchors = set()
    for page in (site / "api").rglob("*.html"):
        anchors.update(re.findall(r'id="?(dynvision[\w.]*)', page.read_text(encoding="utf-8")))
    defined = {name.rpartition(".")[2] for name in anchors}
    packages = [path.parent for path in (ROOT / "dynvision").glob("*/__init__.py")]
    for package in packages:
        module = importlib.import_module(f"dynvision.{package.name}")
        for name in getattr(module, "__all__", ()):
            assert f"{module.__name__}.{name}" in anchors or name in defined, f"{module.__name__}.{name}"


def test_every_command_and_key_is_in_the_reference(site: Path) -> None:
    commands_page = (site / "command-line.html").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f'<h2 id="{name}">' in commands_page
        parser = argparse.ArgumentParser()
        find_command(name).add_arguments(parser)
        for action in parser._actions:
            if action.help == argparse.SUPPRESS:
                continue
            for option in action.option_strings:
                assert option in commands_page, option
    keys = (site / "configuration.html").read_text(encoding="utf-8")
    for key in (
        "model_name",
        "t_recurrence",
        "learning_rate",
        "resolution",
        "recorded_ms",
        "soa_ms",
        "palette",
    ):
        assert f"<code>{key}</code>" in keys, key


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        named = re.findall(r"(?:`|^    )make (?:-\w )?([a-z-]+)", text_of(page), re.MULTILINE)
        assert set(named) <= targets, page.name


def joined_lines(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    for before, line in itertools.pairwise(text.splitlines()):
        list_begins = line.startswith("- ") and not before.startswith(("- ", "  ", "#"))
        table_ends = line.startswith("|") != before.startswith("|")
        if before and line and (list_begins or table_ends):
            yield f"{page.name}: {line}"


def test_lists_and_tables_stand_apart() -> None:
    """Without an empty line before it, a list is part of a paragraph, or of a table, on the site."""
    assert [line for page in PAGES for line in joined_lines(page)] == []


def test_the_pages_of_the_index_page_are_there() -> None:
    """The eighteen of the page "DynVision Documentation", by its own paths, and the guide to contributing."""
    pages = {
        "": ("dynamics_solver", "layer_connections", "recurrence", "retina", "supralinearity"),
        "models": ("dyrcnn", "cordsnet", "cornet", "resnet"),
        "data": ("datasets", "transforms", "ffcv"),
        "training": ("lightning_base", "losses", "callbacks"),
        "visualization": ("responses", "weights", "metrics"),
    }
    expected = [DOCS / "api" / folder / f"{name}.md" for folder, names in pages.items() for name in names]
    assert len(expected) == 18 and [path for path in expected if not path.exists()] == []
    assert "contributing.md" in GENERATED and (ROOT / "CONTRIBUTING.md").exists()
