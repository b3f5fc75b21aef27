"""What customers do when prices change, and which prices follow from it."""
