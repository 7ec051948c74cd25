"""The checks behind ``deepoj verify``."""
