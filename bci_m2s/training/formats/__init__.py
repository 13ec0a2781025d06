"""File formats that data sets come in, read without trusting them."""
