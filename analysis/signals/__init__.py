"""The running signals: selectivity, position tuning, fractions by area."""
