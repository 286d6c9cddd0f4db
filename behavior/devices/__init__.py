"""Real and simulated devices, each behind a small Protocol."""
