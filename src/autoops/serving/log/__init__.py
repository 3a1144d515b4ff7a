"""Writing to the prediction log: group commit, and an outbox if the database is a server."""
