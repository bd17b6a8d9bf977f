"""What `run` is made of: the servers under test, the NG client that sets calls up, and the report."""
