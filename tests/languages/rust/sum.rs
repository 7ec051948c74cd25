// "accepted 1 2": the sum; and what else can become of a program.
use std::io;

fn main() {
    let mut line = String::new();
    io::stdin().read_line(&mut line).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let (mode, a, b) = (words[0], words[1].parse::<i64>().unwrap(), words[2].parse::<i64>().unwrap());
    if mode == "crash" {
        panic!("{}", mode);
    }
    let mut turns: u64 = 0;
    while mode == "loop" {
        turns = std::hint::black_box(turns + 1);
    }
    let mut kept = Vec::new();
    while mode == "memory" {
        kept.push(vec![b'x'; 1 << 20]);
    }
    println!("{}", a + b + kept.len() as i64 + (mode == "wrong") as i64);
}
