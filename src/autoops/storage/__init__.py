"""The database: its schema, migrations, the prediction log, the heartbeats of API processes. Nothing here decides."""
