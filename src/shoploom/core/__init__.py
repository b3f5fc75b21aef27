"""The ground floor: names, ids, time, seeds, errors, registry, progress, files.

It knows nothing of tables, models or shops, and imports nothing heavier than numpy.
"""
