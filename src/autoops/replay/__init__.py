"""Send months of trips through the real API by event time; `demo` is a story told with it."""
