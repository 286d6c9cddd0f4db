"""Alerts that leave the room: a fault, a session's end, missing water."""
