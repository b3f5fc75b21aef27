"""From answers to actions, under rules, and judged from the log before they act."""
