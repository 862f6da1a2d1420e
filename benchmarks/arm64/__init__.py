"""`make benchmark-arm64`: instructions on a Pi's processors, counted exactly under emulation."""
