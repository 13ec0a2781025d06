"""Operating a session from the panel: connecting, starting, commands."""
