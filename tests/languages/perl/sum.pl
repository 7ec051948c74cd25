# "accepted 1 2": the sum; and what else can become of a program.
use strict;
use warnings;

my ($mode, $x, $y) = split ' ', scalar <STDIN>;
die $mode if $mode eq 'crash';
1 while $mode eq 'loop';
my @kept;
push @kept, 'x' x (1 << 20) . @kept while $mode eq 'memory';
print $x + $y + ($mode eq 'wrong' ? 1 : 0), "\n";
