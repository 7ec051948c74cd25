"""The tests, a folder for each need. The modules here are helpers that several folders share."""
