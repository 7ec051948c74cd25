// "accepted 1 2": the sum; and what else can become of a program.
import scala.collection.mutable.ArrayBuffer
import scala.io.StdIn

object Main {
  def main(arguments: Array[String]): Unit = {
    val Array(mode, a, b) = StdIn.readLine().split(" ")
    if (mode == "crash") throw new IllegalStateException(mode)
    var turns = 0L
    while (mode == "loop") turns += 1
    val kept = ArrayBuffer[Array[Int]]()
    while (mode == "memory") kept += new Array[Int](1 << 18)
    println(a.toLong + b.toLong + (if (mode == "wrong") 1 else 0))
  }
}
