"""For `import picamera2`: used by its ffmpeg output alone. Needs a compiler to install."""
