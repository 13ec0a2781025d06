"""The whole session as bins in time."""
