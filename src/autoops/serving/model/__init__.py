"""The loaded versions of one process: tried, loaded, swapped, kept warm, blocked."""
