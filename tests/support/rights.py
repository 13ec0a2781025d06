"""Who may read what was written."""

import os

HANDED_ON = ".safetensors"  # model files have the umask's rights


def assert_rights(folder, shared=False):
    """A folder and all that is in it are their owner's alone, or the group's too."""
    if os.name != "posix":
        return
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != HANDED_ON]
    assert files
    for paths, mode in ((folders, 0o750 if shared else 0o700), (files, 0o640 if shared else 0o600)):
        others = {path.name: oct(path.stat().st_mode & 0o777) for path in paths}
        assert {name: got for name, got in others.items() if got != oct(mode)} == {}
