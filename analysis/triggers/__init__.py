"""The closed loop: rules of a task on activity or behavior, and the triggers that they decide."""
