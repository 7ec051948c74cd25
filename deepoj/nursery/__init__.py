"""The process as one supervised tree. ``tree`` opens every nursery; ``supervise`` restarts children after declared
breakages; ``loops`` are the loops as data; ``leases`` and ``work`` are what a job in hand consists of."""
