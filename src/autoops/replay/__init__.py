"""Replay: send months of rows through the real API in event time; `demo` shows the whole loop with it."""
