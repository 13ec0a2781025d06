"""Faults on purpose: senders that stop, freeze, restart, lie and flood, and what a session does then."""
