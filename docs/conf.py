"""How Sphinx makes the site from these pages: python -m sphinx -W -b html docs build/site."""

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import bci_m2s  # noqa: E402

project = "bci_m2s"
author = "the bci_m2s contributors"
release = version = bci_m2s.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
exclude_patterns = ["make_*.py"]
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["site.css"]

# The same links as on a code host: #a-heading leads to that heading.
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]

autosummary_generate = True
autodoc_typehints_format = "short"
autodoc_default_options = {
    "exclude-members": "set_fit_request, set_score_request"
}  # scikit-learn's, undocumented
numpydoc_show_class_members = False  # methods have their docstrings below the class instead

html_theme = "pydata_sphinx_theme"
html_title = "bci_m2s"
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "navbar_end": ["theme-switcher"],
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": []}


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("doctree-read", unlink)
    app.connect("autodoc-process-docstring", describe, priority=400)  # before numpydoc
    app.connect("autodoc-process-signature", shorten)


def unlink(app: Sphinx, tree: nodes.document) -> None:
    """Leave of links that lead out of docs/ the text alone: the site has no such page, a code host has."""
    for link in list(tree.findall(addnodes.pending_xref)):
        page = Path(app.srcdir, link.get("refdoc", "")).parent
        target = (page / link["reftarget"]).resolve()
        if link["reftype"] in ("doc", "myst") and not target.is_relative_to(app.srcdir):
            link.replace_self(link.children)


def describe(_app: Sphinx, what: str, _name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    """Put `name : what it is` into numpydoc's form, which would take the text for a type."""
    section = ""
    made: list[str] = []
    for number, line in enumerate(lines):
        if re.fullmatch("-{3,}", line):
            section = lines[number - 1]
        entry = re.fullmatch(r"(\*{0,2}\w[\w, *]*) : (.+)", line)
        if entry and not section:  # short docstrings leave the heading out
            section = "Attributes" if what == "class" else "Parameters"
            made += ["", section, "-" * len(section)]
        is_prose = entry and section in ("Parameters", "Attributes")
        made += [entry[1], f"    {entry[2]}"] if entry and is_prose else [line]
    lines[:] = made


def shorten(
    _app: Sphinx,
    _what: str,
    _name: str,
    _thing: Any,
    _options: Any,
    arguments: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Write numpy's types as they are written in the code."""
    if arguments and "<" in arguments:  # a default that is no Python: Sphinx shows the text as it stands
        arguments = re.sub(r"~(?:\w+\.)+", "", arguments)
    return arguments and as_written(arguments), returns and as_written(returns)


def as_written(types: str) -> str:
    """`NDArray` and `ArrayLike` for what they stand for."""
    array = r"~?(?:numpy\.)?ndarray\[tuple\[~?(?:typing\.)?Any, \.\.\.\], ~?(?:numpy\.)?dtype\[([^]]+)\]\]"
    like = r"(?:~[\w.]+\.)?_Buffer \| .*?complex \| bytes \| str\]"
    return re.sub(like, "ArrayLike", re.sub(array, r"NDArray[\1]", types))
