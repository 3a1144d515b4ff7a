"""NYC green taxis: the duration of a trip."""
