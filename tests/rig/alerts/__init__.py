"""Alerts that leave the room."""
