"""Files beside a recording as BIDS has them: events, channels, and what the recording was made with.

Gorgolewski et al. 2016, doi 10.1038/sdata.2016.44, and its extension to EEG (Pernet et al. 2019,
doi 10.1038/s41597-019-0104-8).
"""
