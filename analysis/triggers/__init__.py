"""The closed loop: parse the rules of a task, evaluate them, and request triggers."""
