"""What light, noise, movement and covered faces do to a reading, in figures."""
