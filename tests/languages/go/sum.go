// "accepted 1 2": the sum; and what else can become of a program.
package main

import "fmt"

func main() {
	var mode string
	var a, b int
	fmt.Scan(&mode, &a, &b)
	if mode == "crash" {
		panic(mode)
	}
	for mode == "loop" {
	}
	var kept [][]byte
	for mode == "memory" {
		block := make([]byte, 1<<20)
		for i := range block {
			block[i] = 'x'
		}
		kept = append(kept, block)
	}
	if mode == "wrong" {
		b++
	}
	fmt.Println(a + b + len(kept))
}
