"""``python -m bci_m2s`` is ``bci-m2s``."""

from bci_m2s.cli import main

main()
