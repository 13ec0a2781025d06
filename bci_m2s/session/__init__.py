"""A live session from configuration to end: setting up, takes, operator commands, terminal; estimates
are made in `pipeline`.
"""
