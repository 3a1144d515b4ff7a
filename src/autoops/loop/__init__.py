"""The loop: what is wrong, what to do about it, and the record of both."""
