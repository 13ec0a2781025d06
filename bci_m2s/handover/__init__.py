"""What a session leaves for others: data sets for other programs, and a report for people to read; the
handover of a take is in `engine`.
"""
