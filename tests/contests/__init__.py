"""Contests: the fold and its boards, pure or against a naive one; routes and pages over PostgreSQL."""
