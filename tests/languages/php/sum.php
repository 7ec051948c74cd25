<?php
// "accepted 1 2": the sum; and what else can become of a program.
[$mode, $a, $b] = explode(" ", trim(fgets(STDIN)));
if ($mode === "crash") throw new RuntimeException($mode);
while ($mode === "loop");
$kept = [];
while ($mode === "memory") $kept[] = str_repeat("x", 1 << 20);
echo $a + $b + ($mode === "wrong" ? 1 : 0), "\n";
