"""What is compared with a map in a session: difference map, scores; its adjustment."""
