"""The database: its schema, migrations, the prediction log, the heartbeats of API processes. No decisions here."""
