"""The process as one supervised tree. ``tree`` opens the nurseries, and ``scopes`` the small ones that several modules
use; ``supervise`` restarts children after declared breakages; ``loops`` holds the loops as data; ``leases`` and
``work`` hold the jobs of this node."""
