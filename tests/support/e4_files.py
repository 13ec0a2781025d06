"""An export of an Empatica E4; values tell where they stand."""

from __future__ import annotations

import zipfile
from pathlib import Path

BEGIN_S = 1_700_000_000


def e4_texts(seconds: int = 20, begin_s: float = BEGIN_S) -> dict[str, str]:
    """The content of each file."""

    def signal(rate: int, columns: int = 1, begin: float = begin_s) -> str:
        rows = [f"{begin:.6f}", f"{rate:.6f}"]
        rows += [str(index % 100 + column) for index in range(seconds * rate) for column in range(1)]
        return "\n".join(",".join([row] * columns) for row in rows) + "\n"

    return {
        "ACC.csv": signal(32, 3),
        "BVP.csv": signal(64),
        "EDA.csv": signal(4),
        "TEMP.csv": signal(4),
        "HR.csv": signal(1, begin=begin_s + 10),
        "IBI.csv": f"{begin_s:.6f}, IBI\n2.5,0.75\n3.25,0.75\n",
        "tags.csv": f"{begin_s + 5:.2f}\n{begin_s + 12.5:.2f}\n",
        "info.txt": "words\n",
    }


def write_e4(folder: Path, **options: float) -> Path:
    """A folder of it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in e4_texts(**options).items():  # type: ignore[arg-type]
        (folder / name).write_text(text)
    return folder


def zip_e4(path: Path, prefix: str = "", **options: float) -> Path:
    """A zip of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in e4_texts(**options).items():  # type: ignore[arg-type]
            archive.writestr(prefix + name, text)
    return path
