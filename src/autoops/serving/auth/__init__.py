"""API keys with their scopes and rate limits. Without a keys file, no request needs a key."""
