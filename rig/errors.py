"""The error whose text is for the person at the rig."""


class Refused(Exception):
    """Something cannot be done. Its text is one sentence: what is wrong, where, what to do."""
