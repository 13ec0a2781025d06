"""How the markers of recordings name trials: the expressions for a training file, and the classes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bci_m2s.types import TRIAL_START, TRIAL_STOP

# Words that begin a trial, and those that end one which began so.
_ENDS = {
    "start": ("stop", "end", "finish"),
    "begin": ("end", "stop"),
    "onset": ("offset", "end", "stop"),
    "on": ("off",),
}
# What else is marked in an experiment; no class, unless the user says so.
_NO_CLASS = frozenset(
    re.findall(
        r"\w+",
        "rest baseline practice training session experiment block break pause instruction instructions "
        "fixation recording segment calibration trial stimulus response new tag",
    )
)
_SIGNS = r"[\W_]+"
MOST_CLASSES = 12


@dataclass(frozen=True, slots=True)
class Scheme:
    """How markers name trials.

    start, stop : regular expressions for a training file; `stop` is "" where a trial lasts until the next
    start_text, stop_text : the markers themselves with {label} for the class; "" as above
    classes : in the order of the alphabet, as found; () where they are not known
    """

    start: str = TRIAL_START + "(?P<label>.+)"
    stop: str = TRIAL_STOP + "(?P<label>.+)"
    start_text: str = TRIAL_START + "{label}"
    stop_text: str = TRIAL_STOP + "{label}"
    classes: tuple[str, ...] = ()


def find_scheme(texts: Iterable[str], classes: Sequence[str] = ()) -> Scheme | None:
    """Find how markers name trials; None where nothing looks like it.

    Looked for are, in this order: a word that begins something beside a label (`trial/start/happy`,
    `happy_onset`); the classes themselves, alone or behind a prefix (`happy`, `stim happy`); and texts that
    come several times each.

    Parameters
    ----------
    texts : of every marker, as often as it came
    classes : those that are wanted, () where they are to be found
    """
    counts = Counter(texts)
    found = [*_with_words(counts, classes), *_plain(counts, classes)]
    return max(found, key=lambda one: one[0])[1] if found else None


def _with_words(counts: Counter[str], classes: Sequence[str]) -> list[tuple[int, Scheme]]:
    """Schemes with a word such as `start` in them, and how many markers each explains."""
    groups: defaultdict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for text, count in counts.items():
        for word in re.finditer(r"[^\W_]+", text):
            if word[0].casefold() not in _ENDS:
                continue
            before, after = text[: word.start()], text[word.end() :]
            for prefix, label, suffix in _labels(before, word[0], after):
                groups[prefix, suffix, word[0]][label] += count
    schemes = []
    for (prefix, suffix, verb), labels in groups.items():
        if chosen := _chosen(labels, classes):
            stop = _stop(prefix, suffix, verb, counts, chosen)
            is_all = set(chosen) == set(labels)  # else what is no class would be reported as one
            label = "(?P<label>" + (".+" if is_all else "|".join(map(re.escape, chosen))) + ")"
            scheme = Scheme(
                re.escape(prefix) + label + re.escape(suffix),
                label.join(map(re.escape, stop.split("{label}"))),
                f"{prefix}{{label}}{suffix}",
                stop,
                tuple(chosen),
            )
            schemes.append((2 * sum(labels[name] for name in chosen) + bool(stop), scheme))
    return schemes


def _labels(before: str, word: str, after: str) -> list[tuple[str, str, str]]:
    """Prefix, label and suffix of a text with a word of beginning, label behind the word or before it."""
    found = []
    if match := re.match(rf"({_SIGNS})(.*[^\W_])$", after):
        found.append((before + word + match[1], match[2], ""))
    if match := re.match(rf"^(.*?[^\W_])({_SIGNS})$", before):
        lead, label = re.match(r"^(.*[\W_])?(.+)$", match[1]).groups()  # type: ignore[union-attr]
        found.append((lead or "", label, match[2] + word + after))
    return found


def _chosen(labels: Counter[str], classes: Sequence[str]) -> list[str]:
    """The classes among labels, [] where these labels are no classes."""
    if classes:
        chosen = [name for name in classes if name in labels]
    else:
        chosen = sorted(name for name in labels if name.casefold() not in _NO_CLASS)
    enough = len(chosen) == len(classes) if classes else 2 <= len(chosen) <= MOST_CLASSES
    return chosen if enough else []


def _stop(prefix: str, suffix: str, word: str, counts: Counter[str], labels: Sequence[str]) -> str:
    """The text that ends a trial, with {label} where it has one; "" where there is none."""
    for end in _ENDS[word.casefold()]:
        end = end.upper() if word.isupper() else end.capitalize() if word[0].isupper() else end
        begin, close = _swapped(prefix, word, end), _swapped(suffix, word, end)
        if any(f"{begin}{label}{close}" in counts for label in labels):
            return f"{begin}{{label}}{close}"
        bare = (
            re.sub(rf"{_SIGNS}$", "", begin) + close if word in prefix else begin + close.lstrip("_/ -.:")
        )
        if bare and bare in counts:
            return bare
    return ""


def _swapped(text: str, word: str, end: str) -> str:
    return re.sub(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", end, text)


def _plain(counts: Counter[str], classes: Sequence[str]) -> list[tuple[int, Scheme]]:
    """Schemes without such a word: the classes themselves, with what stands before them."""
    groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text, count in counts.items():
        lead, label = re.match(r"(?s)^(.*[\W_])?(.*)$", text).groups()  # type: ignore[union-attr]
        for prefix, name in dict.fromkeys(((lead or "", label), ("", text))):
            groups[prefix][name] += count
    schemes = []
    for prefix, labels in groups.items():
        often = Counter({name: count for name, count in labels.items() if name and (classes or count > 1)})
        if set(_words(prefix)) & {word for ends in _ENDS.values() for word in ends} or not often:
            continue
        chosen = _chosen(often, classes)
        chosen = [name for name in chosen if not _says_when(name)]
        if len(chosen) < max(len(classes), 2):
            continue
        names = "|".join(map(re.escape, chosen))
        start = f"{re.escape(prefix)}(?P<label>{names})"
        scheme = Scheme(start, "", f"{prefix}{{label}}", "", tuple(chosen))
        schemes.append((sum(labels[name] for name in chosen), scheme))
    return schemes


def _words(text: str) -> list[str]:
    return [word.casefold() for word in re.split(_SIGNS, text) if word]


def _says_when(name: str) -> bool:
    """Whether a label is about when something happens, or is no class."""
    words = {*_ENDS, *(word for ends in _ENDS.values() for word in ends), *_NO_CLASS}
    return bool(set(_words(name)) & words)
