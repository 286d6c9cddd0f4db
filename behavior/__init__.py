"""Run the task, check it with the referee, and operate the devices that the animal uses."""
