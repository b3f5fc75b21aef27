"""Where concrete parts are chosen: prepare, train, evaluate, report, and the Python API."""
