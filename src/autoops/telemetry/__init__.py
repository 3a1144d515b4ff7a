"""Log lines and traces, the same in every process."""
