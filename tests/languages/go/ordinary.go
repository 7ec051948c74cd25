// What ordinary Go programs do: one line a thing, "done" at the end.
package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func hot(rounds int) int {
	total := 0
	for i := 0; i < rounds; i++ {
		total = (total*31 + i) % 1000003
	}
	return total
}

func depth(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + depth(n-1)
}

func caught() (found string) {
	defer func() { found = fmt.Sprint(recover()) }()
	var none []int
	return fmt.Sprint(none[len(os.Args)+3])
}

func main() {
	line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	fmt.Println("input", strings.TrimSpace(line))
	fmt.Println("hot", hot(3000000))

	var group sync.WaitGroup
	var sum atomic.Int64
	results := make(chan int, 10)
	for i := 0; i < 1000; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			sum.Add(int64(i))
			runtime.Gosched()
		}()
	}
	group.Wait()
	go func() {
		for i := 0; i < 1000; i++ {
			results <- i
		}
		close(results)
	}()
	count := 0
	for range results {
		count++
	}
	fmt.Println("goroutines", sum.Load(), count)

	var kept [][]byte
	for i := 0; i < 4000; i++ {
		kept = append(kept, make([]byte, 100000))
		if len(kept) > 200 {
			kept = nil
		}
	}
	debug.FreeOSMemory()
	fmt.Println("collected", len(kept))
	fmt.Println("caught", strings.HasPrefix(caught(), "runtime error: index out of range"), errors.Is(os.ErrNotExist, os.ErrNotExist))
	fmt.Println("recursion", depth(1000000))

	numbers := make([]int, 1000000)
	for i := range numbers {
		numbers[i] = i * 7919 % 1000003
	}
	sort.Ints(numbers)
	power := new(big.Int).Exp(big.NewInt(2), big.NewInt(1000), big.NewInt(1000000007))
	fmt.Println("sorted", numbers[0], sort.IntsAreSorted(numbers), power)
	fmt.Println("text", regexp.MustCompile(`([a-z]+)(\d+)`).ReplaceAllString("bb22", "$2$1"))

	random := make([]byte, 8)
	read, _ := rand.Read(random)
	os.WriteFile("note.txt", []byte("kept"), 0o644)
	note, _ := os.ReadFile("note.txt")
	fmt.Println("file", string(note), read)
	said, err := exec.Command("/bin/echo", "heard").Output()
	fmt.Println("child", strings.TrimSpace(string(said)), err)
	bell := make(chan os.Signal, 1)
	signal.Notify(bell, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println("signal", <-bell)
	select {
	case <-time.After(5 * time.Millisecond):
		fmt.Println("timer")
	case <-time.After(time.Hour):
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	fmt.Fprintln(out, strings.Repeat("x", 200000))
	fmt.Fprintln(out, "done")
}
