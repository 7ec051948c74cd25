"""What an operator runs beside the nodes: doctor, verify, backup, bench, drills. No node imports it; ``cli``
has the commands."""
