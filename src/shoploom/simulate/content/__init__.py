"""What the simulated shop's items, reviews and dialogues look and read like."""
