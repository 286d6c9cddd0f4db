"""What the live page shows beside the messages of its session."""
