"""Reading and vetting problem packages of each format."""
