"""The demo: the whole loop on this machine with real services, a timeline on the terminal, and a page that remains."""
