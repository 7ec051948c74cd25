// What ordinary Rust programs do: one line a thing, "done" at the end.
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, Write};
use std::sync::{mpsc, Arc, Condvar, Mutex};
use std::{fs, panic, process, thread, time};

fn hot(rounds: u64) -> u64 {
    (0..rounds).fold(0, |total, i| (total * 31 + i) % 1000003)
}

fn depth(n: u64) -> u64 {
    if n == 0 { 0 } else { 1 + std::hint::black_box(depth(n - 1)) }
}

fn main() {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).unwrap();
    println!("input {}", line.trim());
    println!("hot {}", hot(3000000));

    let shared = Arc::new((Mutex::new(0), Condvar::new()));
    let team: Vec<_> = (0..8)
        .map(|n| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                *shared.0.lock().unwrap() += n;
                shared.1.notify_all();
            })
        })
        .collect();
    team.into_iter().for_each(|member| member.join().unwrap());
    let (giver, taker) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || (0..1000).for_each(|n| giver.send(n).unwrap()));
    });
    println!("threads {} {}", shared.0.lock().unwrap(), taker.iter().sum::<i32>());

    let mut map = HashMap::new();
    (0..200000u64).for_each(|n| *map.entry(n % 1000).or_insert(0u64) += n);
    let ordered: BTreeMap<_, _> = map.into_iter().collect();
    println!("maps {} {}", ordered.len(), ordered[&7]);
    let mut grown: Vec<u8> = Vec::new();
    (0..200).for_each(|_| grown.extend_from_slice(&[1; 65536]));
    println!("growth {}", grown.len());

    panic::set_hook(Box::new(|_| {}));
    let caught = panic::catch_unwind(|| {
        let none: Vec<i32> = Vec::new();
        none[std::hint::black_box(3)]
    });
    println!("caught {} {:?}", caught.is_err(), "x".parse::<i32>().is_err());
    let deep = thread::Builder::new().stack_size(64 << 20).spawn(|| depth(200000)).unwrap();
    println!("recursion {}", deep.join().unwrap());

    let mut numbers: Vec<u64> = (0..1000000).map(|n| n * 7919 % 1000003).collect();
    numbers.sort_unstable();
    println!("sorted {} {}", numbers[0], numbers.windows(2).all(|pair| pair[0] <= pair[1]));
    fs::write("note.txt", "kept").unwrap();
    fs::copy("note.txt", "copy.txt").unwrap();
    println!("file {}", fs::read_to_string("copy.txt").unwrap());
    let said = process::Command::new("/bin/echo").arg("heard").output().unwrap();
    println!("child {}", String::from_utf8_lossy(&said.stdout).trim());
    let begin = time::Instant::now();
    thread::sleep(time::Duration::from_millis(5));
    println!("slept {}", begin.elapsed() >= time::Duration::from_millis(5));
    let mut out = io::BufWriter::new(io::stdout().lock());
    writeln!(out, "{}", "x".repeat(200000)).unwrap();
    writeln!(out, "done").unwrap();
}
