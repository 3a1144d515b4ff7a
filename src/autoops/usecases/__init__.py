"""The use cases that Auto-Ops brings, each in a folder with its declaration and its Python."""
