"""Reports of studies without paint, unless a test wants it."""

import pytest

from bci_m2s.files.html_page import Page


@pytest.fixture(autouse=True)
def without_paint(request, monkeypatch):
    """Pictures are made, and put in words: painting them takes most of a report's time."""

    def in_words(page, _figure, words, _caption=""):
        page.paragraph(f"[{words}]")

    if "painted" not in request.fixturenames:
        monkeypatch.setattr(Page, "picture", in_words)


@pytest.fixture
def painted():
    """For tests of what is painted."""
