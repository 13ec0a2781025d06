"""Write docs/api.md from the docstrings of what `import bci_m2s` offers: python docs/make_api.py."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bci_m2s
from bci_m2s.model.predictor import Predictor
from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.recording.recovery_report import RecoveryReport
from bci_m2s.review.verify import Verification

PAGE = Path(__file__).with_name("api.md")
HEAD = """# Use it from Python

Everything that is meant to be used from Python is in `bci_m2s` itself; this page is written by
`docs/make_api.py` from the docstrings. Names are loaded when they are used, so `import bci_m2s` loads
neither torch nor MNE. Models and scikit-learn: [notebooks.md](notebooks.md). Features, sources, sinks and
more of your own: [extend.md](extend.md).

```python
import bci_m2s

# a recording as MNE's Raw: volts, electrode positions, gaps, markers and events
raw = bci_m2s.open_recording("recordings/simulated-session.xdf")
starts = raw.annotations[raw.annotations.description == "trial/start/positive"].onset

# its samples through the live pipeline: one dict per estimate, ready for pandas.DataFrame
rows = bci_m2s.run_offline("demo-62ch-eye", raw.copy().crop(tmax=30.0))
answers = [row["label"] for row in rows if row["status"] == "ok"]

# the same pipeline, fed by hand
import numpy as np

pipeline = bci_m2s.make_pipeline("muse-4ch", {"eeg": 256.0})
rng = np.random.default_rng(0)
for second in range(3):
    times = second + np.arange(256) / 256
    chunk = bci_m2s.Chunk.of(times, rng.normal(0.0, 20.0, (256, 4)))  # microvolts
    for estimate in pipeline.push("eeg", chunk):
        print(estimate.status.name, estimate.reason)

try:
    bci_m2s.load_model(bci_m2s.find_model("demo"))
except bci_m2s.BciM2sError as problem:  # the base of every error that is raised on purpose
    print(problem)
```
"""
FUNCTIONS = (
    "find_model",
    "load_model",
    "open_recording",
    "make_pipeline",
    "run_offline",
    "verify",
    "recover",
    "write_report",
    "training_data",
)
RETURNED = (Predictor, Pipeline, Verification, RecoveryReport)
RECORDS = ("Chunk", "StreamInfo", "Estimate", "Status", "Event")


def markdown(docstring: str | None) -> str:
    """A numpy-style docstring as Markdown: sections in bold, entries as a list."""
    lines = inspect.cleandoc(docstring or "").replace("``", "`").split("\n")
    made: list[str] = []
    is_section = False
    for number, line in enumerate(lines):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        if re.fullmatch(r"-{3,}", line):
            is_section = True
        elif re.fullmatch(r"-{3,}", below):
            made.append(f"**{line}**\n")
        elif entry := re.fullmatch(r"([a-zA-Z_][\w, ]*) : (.*)", line):
            made.append(f"- `{entry[1]}`: {entry[2]}")
        elif is_section and made and line and not line.startswith(" ") and not made[-1].startswith("- "):
            made.append(f"- {line}" if below.startswith(" ") else line)
        else:
            made.append(line if made and made[-1].startswith("    ") else re.sub(r"^ {4}", "  ", line))
    return "\n".join(made).strip()


def signature(thing: Any) -> str:
    """The signature in short: without types, those are in the code."""
    found = inspect.signature(thing)
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty) for parameter in found.parameters.values()
    ]
    bare = [
        parameter.replace(default=...) if inspect.isfunction(parameter.default) else parameter
        for parameter in bare
        if parameter.name != "self"
    ]
    return str(found.replace(parameters=bare, return_annotation=inspect.Signature.empty)).replace(
        "Ellipsis", "..."
    )


def described(cls: type) -> Iterator[str]:
    """A class with its public methods and properties."""
    if issubclass(cls, Exception) or not hasattr(cls, "__init__"):
        return
    yield markdown(cls.__doc__)
    for name, member in cls.__dict__.items():
        if name.startswith("_") or not getattr(member, "__doc__", None):
            continue
        if isinstance(member, property):
            yield f"#### `{cls.__name__}.{name}`\n\n{markdown(member.__doc__)}"
        elif inspect.isfunction(member):
            yield f"#### `{cls.__name__}.{name}{signature(member)}`\n\n{markdown(member.__doc__)}"
        elif isinstance(member, staticmethod):
            function = member.__func__
            yield f"#### `{cls.__name__}.{name}{signature(function)}`\n\n{markdown(function.__doc__)}"


def api() -> str:
    """The whole page."""
    parts = [HEAD, "## Functions"]
    for name in FUNCTIONS:
        function = getattr(bci_m2s, name)
        parts.append(f"### `{name}{signature(function)}`\n\n{markdown(function.__doc__)}")
    parts.append("## What they return")
    for cls in RETURNED:
        parts += [f"### `{cls.__name__}`", *described(cls)]
    parts += ["## scikit-learn", "### `M2SClassifier`", *described(bci_m2s.M2SClassifier)]
    parts.append("## Records")
    for name in RECORDS:
        cls = getattr(bci_m2s, name)
        fields = list(cls.__members__) if name == "Status" else list(cls.__dataclass_fields__)
        listed = ", ".join(f"`{field}`" for field in fields)
        parts += [f"### `{name}`\n\nFields: {listed}", *described(cls)]
    parts.append("## Errors\n\n" + markdown(inspect.getmodule(bci_m2s.BciM2sError).__doc__))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(api(), encoding="utf-8")
    print(f"{PAGE}: {len(PAGE.read_text(encoding='utf-8').splitlines())} lines")
