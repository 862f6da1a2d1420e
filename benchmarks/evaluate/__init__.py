"""How well a bundle reads, and how sure of that we are: `make evaluate`, `make compare`."""
