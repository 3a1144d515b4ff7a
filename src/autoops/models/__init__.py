"""A model version: its bundle of files, the cache of bundles, the registry as a port, and scoring."""
