"""The way of rows into the prediction log: group commit, and an outbox where the database is a server."""
