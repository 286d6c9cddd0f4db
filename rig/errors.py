"""The error whose text is for the person at the rig."""


class Refused(Exception):
    """Raised if something cannot be done; its text says what is wrong, where, and what to do."""
