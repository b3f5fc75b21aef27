"""Judging saved answers: metrics, intervals, time splits, calibration, slices, leakage checks.

It never imports an engine, so it can judge anybody's answers.
"""
