"""Replay a recorded session and check that every decision is identical."""
