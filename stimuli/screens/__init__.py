"""Where the screens are around the eye, and how they reproduce luminance."""
