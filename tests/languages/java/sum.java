// "accepted 1 2": the sum; and what else can become of a program. More than one class, so that a jar is needed.
import java.util.ArrayList;
import java.util.List;
import java.util.Scanner;

public class Main {
    record Sum(long a, long b) {
        long value() {
            return a + b;
        }
    }

    public static void main(String[] arguments) {
        Scanner input = new Scanner(System.in);
        String mode = input.next();
        Sum sum = new Sum(input.nextLong(), input.nextLong());
        if (mode.equals("crash")) throw new IllegalStateException(mode);
        long turns = 0;
        while (mode.equals("loop")) turns++;
        List<int[]> kept = new ArrayList<>();
        while (mode.equals("memory")) kept.add(new int[1 << 18]);
        Runnable print = () -> System.out.println(sum.value() + (mode.equals("wrong") ? 1 : 0));
        print.run();
    }
}
