"""``bci-m2s doctor``: whether this computer is ready, and what to do where it is not; it mends nothing.

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

Verdict = Literal["ok", "warn", "bad"]
STYLES = {"ok": "green", "warn": "yellow", "bad": "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check.

    name : what was checked
    verdict : ok; warn: works, but needs attention; bad: a session will fail
    fact : what was found, as a text
    remedy : what to do, "" where nothing is needed
    """

    name: str
    verdict: Verdict
    fact: str
    remedy: str = ""

    @staticmethod
    def judge(name: str, ok: bool, fact: str, remedy: str, otherwise: Verdict = "warn") -> Finding:
        """A finding that has its remedy only where it is not ok."""
        return Finding(name, "ok", fact) if ok else Finding(name, otherwise, fact, remedy)


CHECKS = {
    "versions": "bci_m2s.doctor.machine:check_versions",
    "LSL library": "bci_m2s.doctor.lsl:check_library",
    "LSL configuration": "bci_m2s.doctor.lsl:check_configuration",
    "LSL ports": "bci_m2s.doctor.lsl:check_ports",
    "network": "bci_m2s.doctor.lsl:check_network",
    "LSL round trip": "bci_m2s.doctor.lsl:check_round_trip",
    "GPU": "bci_m2s.doctor.machine:check_gpu",
    "filters": "bci_m2s.doctor.machine:check_filters",
    "model": "bci_m2s.doctor.machine:check_model",
    "disk": "bci_m2s.doctor.machine:check_disk",
    "clock": "bci_m2s.doctor.lsl:check_clock",
    "load": "bci_m2s.doctor.machine:check_load",
    "power": "bci_m2s.doctor.machine:check_power",
    "display": "bci_m2s.doctor.machine:check_display",
}


def findings(
    on_check: Callable[[str], None] = lambda _: None, checks: Mapping[str, str] = CHECKS
) -> list[Finding]:
    """Run all checks, which takes some seconds. on_check : called with the name of each before it runs"""
    results: list[Finding] = []
    for name in checks:
        on_check(name)
        try:
            results += load_class(checks, name)()
        except Exception as problem:  # a check that fails must not hide the results of the others
            fact = f"could not be checked: {type(problem).__name__}: {problem}"
            results.append(Finding(name, "bad", fact, "Report this: the check itself failed."))
    return results


def run_doctor(console: Console) -> int:
    """Print all findings; 1 when one is bad, else 0."""
    with console.status("checking") as status:
        results = findings(lambda name: status.update(f"checking {name}"))
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in results:
        text = f"{finding.fact}\n→ {finding.remedy}" if finding.remedy else finding.fact
        verdict = Text(finding.verdict, style=STYLES[finding.verdict])
        table.add_row(verdict, Text(finding.name), Text(text))
    console.print(table)
    counts = {verdict: sum(finding.verdict == verdict for finding in results) for verdict in STYLES}
    console.print(f"{counts['ok']} ok, {counts['warn']} warn, {counts['bad']} bad")
    return int(counts["bad"] > 0)
