"""Months of rows: where they come from, how they are cleaned, and where the clean ones are kept."""
