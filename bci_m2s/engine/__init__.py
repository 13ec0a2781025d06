"""The threads of a session: who reads, infers and publishes when, and what is known of it; no
configuration, no terminal.
"""
