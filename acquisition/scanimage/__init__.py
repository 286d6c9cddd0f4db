"""The ScanImage TIFF format, read from bytes; no module here opens a file."""
