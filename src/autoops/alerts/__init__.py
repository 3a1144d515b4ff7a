"""Alerts: entries of the ledger, sent to people through Apprise."""
