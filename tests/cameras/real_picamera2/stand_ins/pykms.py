"""For `import picamera2`: draws on a screen. Only on Raspberry Pi OS."""

from unittest.mock import MagicMock

PixelFormat = MagicMock()
