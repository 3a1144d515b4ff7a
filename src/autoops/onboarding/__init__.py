"""Onboarding of a use case: a draft of its declaration from a table, and a dry run of it before anything is served."""
