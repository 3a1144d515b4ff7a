"""Sends a source through the real API by event time; the demo is a story told with it."""
