"""The console: one page on what the loop notices, decides and waits for, and where a person acts on it."""
