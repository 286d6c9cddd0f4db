"""One file a bench: what is fast, as percentiles, shares and ratios in one run."""
