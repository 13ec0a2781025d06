"""Data sets in one form: sessions of step features with labelled trials."""
