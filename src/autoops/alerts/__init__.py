"""Being told: what the ledger says, sent to people through Apprise."""
