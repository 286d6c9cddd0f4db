"""Real and simulated devices behind small Protocols."""
