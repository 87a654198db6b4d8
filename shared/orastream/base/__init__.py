"""Helpers for all packages: tasks, backoff, wake event, logger. Imports no other package of orastream."""
