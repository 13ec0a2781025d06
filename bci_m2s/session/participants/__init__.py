"""Several participants in one process: a session each, with threads and a network in common."""
