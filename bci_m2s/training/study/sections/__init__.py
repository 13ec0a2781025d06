"""Sections of a study's report: each a picture, a table, or both, of what cells gave."""
