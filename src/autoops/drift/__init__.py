"""Drift: is a window of predictions beyond what ordinary hours, days and weeks explain?"""
