"""Check, read and summarize saved ScanImage files."""
