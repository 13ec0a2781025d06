"""``bci-m2s doctor``: is this computer ready, and what to do where it is not.

Adding a check: a function that returns findings, callable without arguments, and a line in ``CHECKS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bci_m2s.registry import load_class

State = Literal["ok", "warn", "bad"]
STYLES = {"ok": "green", "warn": "yellow", "bad": "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    name : of the thing that was looked at
    state : ok; warn: works, but look at it; bad: a session will fail
    what : the fact, in words
    what_to_do : the remedy, "" where nothing needs one
    """

    name: str
    state: State
    what: str
    what_to_do: str = ""


CHECKS = {
    "versions": "bci_m2s.doctor.machine:check_versions",
    "LSL library": "bci_m2s.doctor.lsl:check_library",
    "LSL configuration": "bci_m2s.doctor.lsl:check_configuration",
    "LSL ports": "bci_m2s.doctor.lsl:check_ports",
    "network": "bci_m2s.doctor.lsl:check_network",
    "LSL round trip": "bci_m2s.doctor.lsl:check_round_trip",
    "GPU": "bci_m2s.doctor.machine:check_gpu",
    "model": "bci_m2s.doctor.machine:check_model",
    "disk": "bci_m2s.doctor.machine:check_disk",
    "clock": "bci_m2s.doctor.lsl:check_clock",
    "load": "bci_m2s.doctor.machine:check_load",
    "power": "bci_m2s.doctor.machine:check_power",
    "display": "bci_m2s.doctor.machine:check_display",
}


def findings(
    say: Callable[[str], None] = lambda _: None, checks: Mapping[str, str] = CHECKS
) -> list[Finding]:
    """Run all checks, in some seconds. `say` is told the name of each before it begins."""
    found: list[Finding] = []
    for name in checks:
        say(name)
        try:
            found += load_class(checks, name)()
        except Exception as problem:  # one check that fails must not hide what the others find
            what = f"could not be checked: {type(problem).__name__}: {problem}"
            found.append(Finding(name, "bad", what, "Report this: the check itself failed."))
    return found


def run_doctor(console: Console) -> int:
    """Print all findings; 1 when one is bad, else 0."""
    with console.status("checking") as status:
        found = findings(lambda name: status.update(f"checking {name}"))
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in found:
        words = f"{one.what}\n→ {one.what_to_do}" if one.what_to_do else one.what
        table.add_row(Text(one.state, style=STYLES[one.state]), Text(one.name), Text(words))
    console.print(table)
    counts = {state: sum(one.state == state for one in found) for state in STYLES}
    console.print(f"{counts['ok']} ok, {counts['warn']} to look at, {counts['bad']} bad")
    return int(counts["bad"] > 0)
