"""The task's settings, the order of its trials, and the course of each trial."""
