"""The commands of `orastream`."""
