"""What a text is: its characters, the order they are written in, how well it was read."""
