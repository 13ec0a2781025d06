"""One file per command of `bci-m2s`; `cli.py` lists them with their options; the work is done below."""
