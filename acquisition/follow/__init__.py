"""Read ScanImage files while they grow."""
