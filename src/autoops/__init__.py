"""Auto-Ops keeps a deployed model healthy by itself: watch, decide, retrain, gate, swap, roll back."""

from importlib.metadata import version

__version__ = version("autoops")
