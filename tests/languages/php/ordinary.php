<?php
// What ordinary PHP programs do: one line a thing, "done" at the end.
echo "input ", trim(fgets(STDIN)), "\n";
$total = 0;
for ($i = 0; $i < 1000000; $i++) $total = ($total * 31 + $i) % 1000003;
echo "hot $total\n";
$numbers = [];
for ($i = 0; $i < 200000; $i++) $numbers[] = $i * 7919 % 1000003;
sort($numbers);
echo "text ", preg_replace('/([a-z]+)(\d+)/', '$2$1', 'bb22'), " $numbers[0] ", json_encode(["ü"]), "\n";
function odd($n) { if ($n % 2) throw new RuntimeException("odd"); return intdiv($n, 0); }
$caught = 0;
for ($i = 0; $i < 1000; $i++) try { odd($i); } catch (RuntimeException | DivisionByZeroError $error) { $caught++; }
echo "caught $caught\n";
function numbers() { for ($i = 0; $i < 10; $i++) yield $i; }
echo "generator ", array_sum(iterator_to_array(numbers())), "\n";
for ($i = 0; $i < 2000; $i++) str_repeat("x", 100000);
usleep(2000);
file_put_contents("note.txt", "kept");
echo "file ", file_get_contents("note.txt"), " ", strlen(random_bytes(8)), " ", hrtime(true) > 0, "\n";
echo "child ", trim(shell_exec("echo heard")), "\n";
echo str_repeat("x", 200000), "\n";
echo "done\n";
