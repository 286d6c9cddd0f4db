"""Compute the running signals of the study, such as selectivity and position tuning."""
