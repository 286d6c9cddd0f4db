"""Parts of the live page that are not derived from the messages of its session."""
