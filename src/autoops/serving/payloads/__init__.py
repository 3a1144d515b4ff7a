"""Bodies in and out: what is accepted, what is wrong with the rest, and the forms of an answer."""
