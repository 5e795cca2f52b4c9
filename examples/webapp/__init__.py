"""The sample application: a small web service that is baked, tested, rolled out and drained."""
