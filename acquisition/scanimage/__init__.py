"""The ScanImage TIFF format, read from bytes; no files are opened here."""
