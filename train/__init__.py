"""Workstation: data set → splits → meshes → SVMs, graph network → report."""

from edge import quiet

quiet.begin()
