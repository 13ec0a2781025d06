"""Commands from the same user on the same machine: finding a session and talking to it."""
