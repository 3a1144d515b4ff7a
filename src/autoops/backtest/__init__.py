"""Backtest: simulate retraining policies over past months with production's own code.

The question is what a policy would have done, and what it would have cost.
"""
