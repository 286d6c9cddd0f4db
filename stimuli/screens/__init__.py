"""Where the screens are and how they reproduce brightness."""
