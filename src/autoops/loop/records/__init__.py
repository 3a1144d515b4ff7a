"""The records of the loop: the ledger of decisions, the checks, and the lock that lets one process write at a time."""
