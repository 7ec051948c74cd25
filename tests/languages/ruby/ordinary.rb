# What ordinary Ruby programs do: one line a thing, "done" at the end.
require "bigdecimal"
require "digest"
require "open3"
require "set"
require "tempfile"
require "timeout"

puts "input #{gets.strip}"
total = 0
1_000_000.times { |i| total = (total * 31 + i) % 1_000_003 }
puts "hot #{total}"
lock = Mutex.new
sum = 0
8.times.map { |n| Thread.new { 100.times { lock.synchronize { sum += n } } } }.each(&:join)
line = Queue.new
Thread.new { 10.times { |n| line << n } }
puts "threads #{sum} #{10.times.sum { line.pop }}"
2000.times { "x" * 100_000 }
GC.start
caught = 0
begin
  nil.upcase
rescue NoMethodError
  caught += 1
end
def depth(n) = n.zero? ? 0 : 1 + depth(n - 1)
begin
  depth(1 << 30)
rescue SystemStackError
  caught += 1
end
begin
  Timeout.timeout(0.01) { sleep }
rescue Timeout::Error
  caught += 1
end
puts "caught #{caught} #{depth(5000)}"
puts "sorted #{Array.new(300_000) { |n| n * 7919 % 1_000_003 }.sort.first} #{2**1000 % 1_000_000_007}"
puts "text #{"bb22".sub(/([a-z]+)(\d+)/, '\2\1')} #{Digest::MD5.hexdigest("a")[0, 8]}"
counter = Fiber.new { 3.times { |n| Fiber.yield n } }
puts "fiber #{counter.resume}#{counter.resume} #{Set[1, 1].size}"
puts "child #{`echo heard`.strip} #{system("exit 3").inspect} #{Open3.capture2("cat", stdin_data: "x").first}"
pid = fork { exit! 4 }
Process.wait(pid)
Tempfile.create { |file| file.write("kept") }
File.write("note.txt", "kept")
puts "file #{File.read("note.txt")} #{$?.exitstatus} #{Random.bytes(4).size} #{Process.clock_gettime(Process::CLOCK_MONOTONIC) > 0}"
$stdout.write("x" * 200_000 + "\n")
puts "done"
