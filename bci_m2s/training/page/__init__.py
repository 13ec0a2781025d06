"""The tables and figures of docs/results.md: several training files, and what they give together."""
