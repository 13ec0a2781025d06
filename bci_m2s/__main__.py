"""``python -m bci_m2s`` is ``bci-m2s``."""

from bci_m2s.commands.cli import main

main()
