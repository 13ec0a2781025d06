"""``python -m bci_m2s`` is ``bci-m2s``."""

import os
import sys

INTERRUPTED = 130  # what a shell calls a program that Ctrl-C ended


def main() -> None:
    """Entry point: a Ctrl-C that comes before a command has begun ends it without a word."""
    try:
        import signal  # which takes a moment too

        usual = signal.getsignal(signal.SIGINT)
        if usual is signal.default_int_handler:  # else it is ignored, in the background of a shell
            signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
        from bci_m2s.commands.cli import main as begin

        signal.signal(signal.SIGINT, usual)
        begin()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
