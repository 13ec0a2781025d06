"""Tables of samples: CSV, TSV and Parquet, a column of time and one column per channel.

A table is never in memory as a whole: its stamps and markers are, and of the samples a block at a time.
"""
