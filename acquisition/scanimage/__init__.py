"""The ScanImage TIFF format, read from bytes; nothing here opens a file."""
