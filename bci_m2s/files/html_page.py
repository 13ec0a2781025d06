"""One HTML file that needs nothing else: no network, no script; every text from outside is escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Sequence
from html import escape
from typing import TYPE_CHECKING

from bci_m2s.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110
LONGEST_CELL, LONGEST_PARAGRAPH = 300, 20_000  # characters
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1180px; margin: 0 auto;
  padding: 1em 2em 4em }
h1 { font-size: 1.6em; margin: .6em 0 .1em }
h2 { font-size: 1.2em; margin: 2em 0 .4em; border-top: 1px solid #ddd; padding-top: .8em }
h3 { font-size: 1em; margin: 1.2em 0 .3em }
nav { font-size: .9em; margin: .8em 0 } nav a { margin-right: 1em; white-space: nowrap }
table { border-collapse: collapse; font-size: .9em; margin: .5em 0 }
th, td { text-align: left; padding: .15em .9em .15em 0; vertical-align: top; border-bottom: 1px solid #eee }
th { font-weight: 600 } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
img { max-width: 100%; height: auto; margin: .4em 0; display: block } .wide { overflow-x: auto }
.note { color: #555; font-size: .9em; max-width: 70em }
.methods { background: #f6f6f6; padding: .8em 1.2em; max-width: 70em }
.warning { background: #fff3cd; border-left: 4px solid #d9a400; padding: .4em 1em; margin: .6em 0;
  max-width: 70em }
.facts { display: flex; flex-wrap: wrap; gap: .4em 2.6em; margin: 1em 0 }
.facts div { font-size: .85em; color: #555 }
.facts b { display: block; font-size: 1.45em; color: #222; font-weight: 600 }
@media print { nav { display: none } h2 { page-break-after: avoid } img { page-break-inside: avoid } }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # a browser loads and runs nothing


class Page:
    """Sections in their order; texts are escaped as they are added."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts: list[str] = []
        self._sections: list[str] = []

    def section(self, title: str) -> None:
        """Begin a section, which the list at the top names."""
        self._sections.append(title)
        self._parts.append(f'<h2 id="s{len(self._sections)}">{_text(title)}</h2>')

    def heading(self, title: str) -> None:
        """A heading within a section."""
        self._parts.append(f"<h3>{_text(title)}</h3>")

    def paragraph(self, text: str, kind: str = "") -> None:
        """One paragraph. kind : "", "note", "warning" or "methods"."""
        style = f' class="{kind}"' if kind else ""
        self._parts.append(f"<p{style}>{_text(text, LONGEST_PARAGRAPH)}</p>")

    def figures(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Numbers in large letters. pairs : number and what it is."""
        boxes = "".join(f"<div><b>{_text(number)}</b>{_text(words)}</div>" for number, words in pairs)
        self._parts.append(f'<div class="facts">{boxes}</div>')

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        numbers: Sequence[str] = (),
        strong: Collection[tuple[int, int]] = (),
    ) -> None:
        """A table. numbers : the columns set to the right; strong : cells in bold, by line and column"""
        right = [' class="n"' if name in numbers else "" for name in columns]
        head = "".join(f"<th{side}>{_text(name)}</th>" for name, side in zip(columns, right, strict=True))
        lines = []
        for i, row in enumerate(rows):
            texts = [
                f"<b>{_text(cell)}</b>" if (i, j) in strong else _text(cell) for j, cell in enumerate(row)
            ]
            cells = zip(texts, right, strict=True)
            lines.append("".join(f"<td{side}>{text}</td>" for text, side in cells))
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        self._parts.append(f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>')

    def picture(self, figure: Figure, words: str, caption: str = "") -> None:
        """A figure as PNG within the page. words : what it shows, for those who do not see it."""
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=DPI)
        data = base64.b64encode(content.getvalue()).decode("ascii")
        self._parts.append(f'<img alt="{_text(words)}" src="data:image/png;base64,{data}">')
        if caption:
            self.paragraph(caption, "note")

    def html(self, top: Sequence[str], warnings: Sequence[str]) -> str:
        """The whole file. top : lines below the title; warnings : what stands out above all else."""
        names = enumerate(self._sections, 1)
        contents = "".join(f'<a href="#s{number}">{_text(title)}</a>' for number, title in names)
        return "".join(
            [
                '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
                f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
                f"<title>{_text(self._title)}</title><style>{STYLE}</style></head><body>",
                f"<h1>{_text(self._title)}</h1>",
                *(f'<div class="note">{_text(line)}</div>' for line in top),
                *(f'<div class="warning">{_text(text, 2000)}</div>' for text in warnings),
                f"<nav>{contents}</nav>",
                *self._parts,
                "</body></html>\n",
            ]
        )


def _text(text: str, most: int = LONGEST_CELL) -> str:
    return escape(printable(text, most), quote=True)
