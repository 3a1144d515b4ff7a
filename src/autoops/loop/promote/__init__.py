"""The champion alias: moving it, who held it when, who serves it, and the check whether a promotion was a mistake."""
