"""The positions of the screens around the eye, their areas in the window, and their gamma."""
