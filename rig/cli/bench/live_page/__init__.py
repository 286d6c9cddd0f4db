"""What `rig bench monitor` measures: the load and the delay of the live page."""
