"""A simulated brain, and the microscope that images it."""
