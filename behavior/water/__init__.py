"""Carry out reward requests: the limits on water, armed valves, delivery and lick lines."""
