"""The head map: band power and evidence over the scalp."""
