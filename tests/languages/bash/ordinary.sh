# What ordinary shell programs do: one line a thing, "done" at the end.
read -r line
echo "input $line"
total=0
for ((i = 0; i < 20000; i++)); do ((total = (total * 31 + i) % 1000003)); done
echo "hot $total"
declare -A counts
for word in b a b; do ((counts[$word] += 1)); done
echo "maps ${counts[b]} ${#counts[@]}"
echo "sorted $(printf '%s\n' c a b | sort | tr '\n' ' ')"
[[ bb22 =~ ^([a-z]+)([0-9]+)$ ]] && echo "text ${BASH_REMATCH[2]}${BASH_REMATCH[1]}"
echo "awk $(seq 1000 | awk '{ s += $1 } END { print s }')"
sleep 0.01 &
wait $!
echo "job $?"
trap 'echo trapped' USR1
kill -USR1 $$
cat <(echo substituted) - <<<"here"
echo kept >note.txt
echo "file $(<note.txt)"
printf '%200000s' '' | tr ' ' x
echo
echo done
