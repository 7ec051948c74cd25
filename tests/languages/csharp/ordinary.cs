// What ordinary C# programs do under Mono: one line a thing, "done" at the end.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading;
using System.Threading.Tasks;

static class Program {
    static long Hot(int rounds) {
        long total = 0;
        for (int i = 0; i < rounds; i++) total = (total * 31 + i) % 1000003;
        return total;
    }

    static int Depth(int n) { return n == 0 ? 0 : 1 + Depth(n - 1); }

    static void Main() {
        Console.WriteLine("input " + Console.ReadLine());
        Console.WriteLine("hot " + Hot(3000000));
        int counted = 0;
        var team = Enumerable.Range(0, 4).Select(_ => new Thread(() => Interlocked.Add(ref counted, 5))).ToList();
        team.ForEach(thread => thread.Start());
        team.ForEach(thread => thread.Join());
        var tasks = Enumerable.Range(0, 8).Select(n => Task.Run(() => Hot(100000))).ToArray();
        Task.WaitAll(tasks);
        Console.WriteLine("threads " + counted + " " + tasks.Sum(task => task.Result));
        var kept = new List<byte[]>();
        for (int i = 0; i < 2000; i++) {
            kept.Add(new byte[100000]);
            if (kept.Count > 200) kept.Clear();
        }
        GC.Collect();
        int caught = 0;
        for (int i = 0; i < 1000; i++) try {
            if (i % 2 == 0) throw new InvalidOperationException("even");
            string none = i > 5000 ? "" : null;
            caught += none.Length;
        } catch (InvalidOperationException) { caught++; } catch (NullReferenceException) { caught++; }
        Console.WriteLine("caught " + caught + " " + Depth(5000));
        var numbers = Enumerable.Range(0, 300000).Select(n => (int)(n * 7919L % 1000003)).OrderBy(n => n).ToList();
        Console.WriteLine("sorted " + numbers[0] + " " + Regex.Replace("bb22", "([a-z]+)([0-9]+)", "$2$1"));
        File.WriteAllText("note.txt", "kept");
        Thread.Sleep(5);
        Console.WriteLine("file " + File.ReadAllText("note.txt") + " " + Guid.NewGuid().ToString().Length);
        Console.WriteLine(new StringBuilder().Append('x', 200000));
        Console.WriteLine("done");
    }
}
