"""The photodiode's patch on the screen: its code, and the decoding of a photodiode's recording."""
