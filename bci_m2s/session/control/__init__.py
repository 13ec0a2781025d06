"""Commands from the same user on the same machine: finding a session, the connection, its key; what a
command does is elsewhere.
"""
