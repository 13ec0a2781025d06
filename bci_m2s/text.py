"""Foreign text made fit to show: one printable line of bounded length. The only place that does this."""

from __future__ import annotations

LONGEST = 1000  # characters of a message; paths and lists of names are long
MODALITIES = {"eeg": "EEG", "ecg": "ECG", "emg": "EMG", "eda": "EDA", "ppg": "PPG"}


def printable(text: object, most: int = LONGEST) -> str:
    """Text from outside as one line.

    Parameters
    ----------
    text : anything; an error gives its message, or its class's name where it has none
    most : characters of the result, from 1 up

    Returns
    -------
    Lines and tabulators are parted by one space, other unprintable characters are "?"; ends with "…" where
    it was cut
    """
    words = str(text)
    if isinstance(text, BaseException) and not words.strip():
        words = type(text).__name__
    lines = words.splitlines()
    line = lines[0] if len(lines) == 1 else " ".join(part.strip() for part in lines if part.strip())
    signs = (sign if sign.isprintable() else " " if sign.isspace() else "?" for sign in line[: most + 1])
    line = "".join(signs)
    return line if len(line) <= most else line[: most - 1] + "…"


def quoted(value: object, most: int = 60) -> str:
    """A value as Python writes it, control characters escaped, of text at most `most` characters.

    Blanks stay as they are: they may be what is wrong with the value.
    """
    if isinstance(value, str):
        return repr(value if len(value) <= most else value[: most - 1] + "…")
    return printable(repr(value), most)


def typed(path: object) -> str:
    """A path as it is typed in a command: in quotes where it holds a blank."""
    words = printable(path)
    return f'"{words}"' if " " in words else words


def modality_name(modality: str) -> str:
    """A modality as people write it: "EEG", "eye", "EEG + eye"."""
    return " + ".join(MODALITIES.get(part, part) for part in printable(modality, 40).split("+"))


def is_number(cell: str) -> bool:
    """Whether a cell holds a number; NaN and infinity are some."""
    try:
        float(cell)
    except ValueError:
        return False
    return True
