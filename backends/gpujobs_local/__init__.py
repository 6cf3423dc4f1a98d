"""A gpujobs backend."""
