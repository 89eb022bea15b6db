"""GPU and host memory."""
