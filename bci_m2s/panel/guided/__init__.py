"""A guided session in the panel: the experimenter's strip, and the participant's window."""
