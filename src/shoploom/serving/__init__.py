"""Live: events in, answers out, and what is seen of both.

======== ==========================================================================================
store    events that are kept once they are acknowledged, on SQLite or Postgres
answers  what a shop asks about one user, from last night's model and this second's events
api      HTTP, keys and limits
======== ==========================================================================================
"""
