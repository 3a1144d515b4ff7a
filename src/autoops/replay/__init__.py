"""Replay: send months of trips through the real API in event time; `demo` shows the whole loop with it."""
