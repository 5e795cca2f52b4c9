"""The sample web service. It runs on Python 3.9 and later, with the standard library alone."""
