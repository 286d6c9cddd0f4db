"""Send alerts to people outside the lab: a fault, a session's end, missing water."""
