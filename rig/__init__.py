"""The ground floor: the words processes exchange, what carries and keeps them, the shape of one."""
