"""Which reply suits a customer who asks, when a person should answer, and how a dialogue went."""
