"""The use case: the declaration of a table, its target and its features, and what is derived from it.

A use case is a YAML file, built in (`usecases/NAME/usecase.yaml`) or of one's own. It is checked once at start and is
part of each version's bundle, so that a version is judged and explained by the contract under which it was trained.
"""
