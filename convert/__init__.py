"""Workstation: what was trained → the bundle of the device."""

from edge import quiet

quiet.begin()
