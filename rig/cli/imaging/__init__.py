"""Commands for imaging: TIFF files and day-to-day alignment."""
