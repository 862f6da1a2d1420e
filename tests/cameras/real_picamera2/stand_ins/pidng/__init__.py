"""For `import picamera2`: writes raw pictures. Not built for this Python."""
