"""The measurements of `rig bench monitor`: the load and the delay of the live page."""
