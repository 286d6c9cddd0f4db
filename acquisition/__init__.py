"""Read imaging frames from the microscope's growing files, and find when each was scanned."""
