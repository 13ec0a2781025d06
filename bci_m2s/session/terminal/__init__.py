"""A session on the terminal: its live view, its signals and its end; the window is in `panel`."""
