"""Files of the house: safe YAML with line numbers, safe arrays, writers that write whole or append;
no format of signals.
"""
