"""The pages: answers, forms and rights, and how a real browser shows them."""
