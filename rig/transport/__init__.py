"""How messages travel and are kept: envelopes, the bus, journals, the log, imaging frames."""
