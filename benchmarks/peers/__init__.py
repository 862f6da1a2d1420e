"""`make benchmark-peers`: other ways from a frame to a mesh or a label, measured beside ours."""
