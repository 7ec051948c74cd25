// What ordinary Java programs do: one line a thing, "done" at the end. One class, so that one file is the program.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

public class Main {
    static int depth(int n) {
        return n == 0 ? 0 : 1 + depth(n - 1);
    }

    static long hot(int rounds) {
        long total = 0;
        for (int i = 0; i < rounds; i++) total = (total * 31 + i) % 1000003;
        return total;
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println("hot " + hot(3000000));

        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<Long>> parts = new ArrayList<>();
        for (int i = 0; i < 8; i++) parts.add(pool.submit(() -> hot(1000000)));
        long sum = 0;
        for (Future<Long> part : parts) sum += part.get();
        pool.shutdown();
        System.out.println("threads " + sum + " " + pool.awaitTermination(60, TimeUnit.SECONDS));

        AtomicLong counted = new AtomicLong();
        ReentrantLock lock = new ReentrantLock();
        Thread[] team = new Thread[4];
        for (int i = 0; i < team.length; i++) {
            team[i] = new Thread(() -> {
                for (int n = 0; n < 1000; n++) {
                    lock.lock();
                    counted.incrementAndGet();
                    lock.unlock();
                }
            });
            team[i].start();
        }
        for (Thread thread : team) thread.join();
        System.out.println("locks " + counted.get());

        List<byte[]> kept = new ArrayList<>();
        for (int i = 0; i < 4000; i++) { // 400 MB of garbage in a heap of 160
            kept.add(new byte[100000]);
            if (kept.size() > 200) kept.clear();
        }
        Map<Integer, String> map = new HashMap<>();
        for (int i = 0; i < 200000; i++) map.put(i, Integer.toString(i));
        System.out.println("collected " + map.size());

        int caught = 0;
        for (int i = 0; i < 1000; i++) {
            try {
                if (i % 2 == 0) throw new IllegalStateException("even");
                Object nothing = i > 5000 ? "" : null;
                nothing.hashCode();
            } catch (IllegalStateException | NullPointerException error) {
                caught++;
            }
        }
        try {
            depth(1 << 30);
        } catch (StackOverflowError error) {
            caught++;
        }
        System.out.println("caught " + caught);

        int[] deep = new int[1];
        Thread large = new Thread(null, () -> deep[0] = depth(100000), "large", 64 << 20);
        large.start();
        large.join();
        System.out.println("recursion " + deep[0]);

        int[] numbers = IntStream.range(0, 1000000).map(n -> (int) ((n * 7919L) % 1000003)).toArray();
        Arrays.parallelSort(numbers);
        System.out.println("sorted " + numbers[0] + " " + IntStream.of(numbers).parallel().asLongStream().sum());

        System.out.println("big " + BigInteger.TWO.pow(1000).mod(BigInteger.valueOf(1000000007)));
        System.out.println("text " + Pattern.compile("([a-z]+)([0-9]+)").matcher("bb22").replaceAll("$2$1") + " ü");
        System.out.println("future " + CompletableFuture.supplyAsync(() -> 20).thenApply(n -> n + 1).get());
        Files.writeString(Path.of("note.txt"), "kept");
        System.out.println("file " + Files.readString(Path.of("note.txt")));
        Thread.sleep(5);
        System.out.println("random " + new SecureRandom().generateSeed(8).length + " " + (System.nanoTime() != 0));
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("input " + input.readLine());
        StringBuilder large_output = new StringBuilder();
        for (int i = 0; i < 20000; i++) large_output.append("0123456789");
        System.out.println(large_output.length() + " " + (large_output.hashCode() != 1));
        System.out.println("done");
    }
}
