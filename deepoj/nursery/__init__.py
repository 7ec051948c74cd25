"""The process as one supervised tree. ``tree`` opens every nursery; ``supervise`` restarts children after declared
breakages; ``loops`` holds the loops as data; ``leases`` and ``work`` hold the jobs of this node."""
