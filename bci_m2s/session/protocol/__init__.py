"""A guided session: its protocol, the order of its trials, what is shown, and who conducts it."""
