"""What the build of the documentation adds to its pages: MathJax, from the package index and served by the site itself."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

MATHJAX = "javascripts/mathjax/tex-svg.js"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the one file of MathJax that sets TeX as SVG, without fonts or further requests."""
    files.append(File.generated(config, MATHJAX, abs_src_path=str(_mathjax())))
    return files


def _mathjax() -> Path:
    found = find_spec("mathjax")
    assert found is not None and found.origin is not None, "the extra 'doc' brings django-static-mathjax"
    return Path(found.origin).parent / "static" / "mathjax" / "es5" / "tex-svg.js"
