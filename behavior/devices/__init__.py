"""Real and simulated devices; one small Protocol for each kind of device."""
