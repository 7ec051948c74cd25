// "accepted 1 2": the sum; and what else can become of a program.
using System;
using System.Collections.Generic;

static class Program {
    static void Main() {
        var words = Console.ReadLine().Split(' ');
        string mode = words[0];
        if (mode == "crash") throw new InvalidOperationException(mode);
        long turns = 0;
        while (mode == "loop") turns++;
        var kept = new List<byte[]>();
        while (mode == "memory") {
            var block = new byte[1 << 20];
            for (int i = 0; i < block.Length; i += 512) block[i] = 1;
            kept.Add(block);
        }
        Console.WriteLine(long.Parse(words[1]) + long.Parse(words[2]) + (mode == "wrong" ? 1 : 0));
    }
}
