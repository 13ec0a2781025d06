"""Which channel of a stream a model's name means, and how a lab says that it is another one.

Devices and files spell one electrode in many ways. A name is looked for as it stands, then in another
letter case, then without what surrounds it ("EEG Fp1-Ref", "Fp1.", "Muse_TP9"), then under the older
names of the 10-20 system. The first way in which any channel fits counts; if several fit in that way, all
of them are candidates, and nobody guesses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bci_m2s.errors import StreamError, nearest
from bci_m2s.signal.reference import reference_of_labels
from bci_m2s.text import quoted

# The older names of four electrodes (Klem et al. 1999, "The ten-twenty electrode system", and 10-10).
OLDER = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8"}
PREFIXES = ("eeg", "ecg", "ekg", "eog", "emg", "pol", "muse")
# What a channel is referred to, behind its name. Cz or Fz count only where every label ends so: "C3-Cz"
# alone may be a bipolar channel.
REFERENCES = ("ref", "avg", "average", "car", "le", "re", "aa", "a1", "a2", "m1", "m2", "a1a2", "m1m2", "2")
_WORDS = re.compile(r"[^\s_:\-+/().,]+")
ANY = "*"


def find_channels(wanted: Sequence[str], labels: Sequence[str]) -> list[list[int]]:
    """For each name that is wanted the columns that may be meant: one when it is clear, [] for none.

    A column that another name means more exactly is none: of T3 and T7, each is itself.
    """
    shared = reference_of_labels(labels).casefold() if len(labels) > 1 else ""
    found: list[list[int]] = [[] for _ in wanted]
    taken: set[int] = set()
    for form in (_stripped, _folded, _plain, _modern):
        columns: dict[str, list[int]] = {}
        for column, label in enumerate(labels):
            columns.setdefault(form(label, shared), []).append(column)
        for place, name in enumerate(wanted):
            if not found[place]:
                found[place] = [column for column in columns.get(form(name, ""), []) if column not in taken]
        taken = {column for candidates in found for column in candidates}
    return found


def electrode_names(labels: Sequence[str]) -> list[str]:
    """Each electrode's name alone, as it is spelt: "Fp1" of "EEG Fp1-Ref"; the label where two share it."""
    shared = reference_of_labels(labels).casefold() if len(labels) > 1 else ""
    plain = [_plain(label, shared) for label in labels]
    return [
        next((word for word in _WORDS.findall(label) if word.casefold() == name), label)
        if plain.count(name) == 1
        else label
        for label, name in zip(labels, plain, strict=True)
    ]


def _stripped(label: str, _shared: str) -> str:
    return label.strip()


def _folded(label: str, _shared: str) -> str:
    return label.strip().casefold()


def _plain(label: str, shared: str) -> str:
    """The electrode's name alone, in lower case; the whole label where something else stands in it."""
    words = _WORDS.findall(label.casefold())
    while len(words) > 1 and words[0] in PREFIXES:
        words.pop(0)
    if not words or any(word not in (*REFERENCES, shared) for word in words[1:]):
        return _folded(label, shared)
    return words[0]


def _modern(label: str, shared: str) -> str:
    name = _plain(label, shared)
    return OLDER.get(name, name)


def renamed(labels: Sequence[str], rename: Mapping[str, str], where: str) -> tuple[str, ...]:
    """Labels as a file calls them: an entry is one label, or a pattern with one ``*`` on both sides.

    ``{"EEG *-Ref": "*"}`` makes Fp1 of "EEG Fp1-Ref". An entry for one label precedes a pattern.

    Parameters
    ----------
    where : what a message begins with

    Raises
    ------
    StreamError
        An entry fits no label, two patterns fit one label differently, or the stars do not match.
    """
    single = {old: new for old, new in rename.items() if old in labels or ANY not in old}
    for old in single:
        if old not in labels:
            raise StreamError(f"{where}: rename: the stream has no channel {old!r}{nearest(old, labels)}")
    patterns = {old: new for old, new in rename.items() if old not in single}
    for old, new in patterns.items():
        if old.count(ANY) != 1 or new.count(ANY) != 1:
            raise StreamError(f"{where}: rename: got {old!r}: {new!r}, expected one * on each side")
        if all(_middle(label, old) is None for label in labels):
            raise StreamError(f"{where}: rename: no channel fits {old!r}{nearest(old, labels)}")
    return tuple(
        single[label] if label in single else _by_pattern(label, patterns, where) for label in labels
    )


def _middle(label: str, pattern: str) -> str | None:
    """What stands for the star; None where the label does not fit."""
    before, _, after = pattern.partition(ANY)
    fits = len(label) > len(before) + len(after) and label.startswith(before) and label.endswith(after)
    return label[len(before) : len(label) - len(after)] if fits else None


def _by_pattern(label: str, patterns: Mapping[str, str], where: str) -> str:
    made = {
        old: new.replace(ANY, middle) for old, new in patterns.items() if (middle := _middle(label, old))
    }
    if len(set(made.values())) > 1:
        listed = " and ".join(f"{old!r} ({quoted(new, 40)})" for old, new in made.items())
        raise StreamError(
            f"{where}: rename: channel {quoted(label, 60)} fits {listed}, expected one of them"
        )
    return next(iter(made.values()), label)
