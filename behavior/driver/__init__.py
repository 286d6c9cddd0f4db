"""What the hardware node is made of: its devices, output lines and cameras."""
