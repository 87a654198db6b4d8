"""Measurements and checks of a node: doctor, bench and demo."""
