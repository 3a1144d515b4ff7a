"""The model versions of one process: how they are tried, loaded, swapped, kept warm and blocked."""
