"""Send and store messages: envelopes, the hub, the bus, journals, the log, imaging frames."""
