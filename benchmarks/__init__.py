"""What the device's program takes, measured: time, memory, and for how long it keeps it up."""
