"""The rules of the loop as pure functions, from data to a decision with its reason: no storage, registry or clock."""
