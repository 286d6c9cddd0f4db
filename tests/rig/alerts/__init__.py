"""Alerts to people outside the lab."""
