"""Parts of the hardware node: its devices, output lines and cameras."""
