"""``bci-m2s bench``: what a benchmark is, where they are, how one is run, kept, shown and compared."""
