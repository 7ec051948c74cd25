# "accepted 1 2": the sum; and what else can become of a program.
read -r mode a b
[[ $mode != crash ]] || exit 3
while [[ $mode == loop ]]; do :; done
kept=xxxxxxxxxxxxxxxx
while [[ $mode == memory ]]; do kept=$kept$kept; done
extra=0
[[ $mode != wrong ]] || extra=1
echo $((a + b + extra))
