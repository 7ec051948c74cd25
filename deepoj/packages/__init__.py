"""Problem packages, from an upload to the object store: reading, vetting, publishing, deleting."""
