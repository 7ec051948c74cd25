// What ordinary Scala programs do: one line a thing, "done" at the end.
import java.nio.file.{Files, Paths}
import scala.collection.mutable
import scala.concurrent.ExecutionContext.Implicits.global
import scala.concurrent.duration._
import scala.concurrent.{Await, Future}
import scala.io.StdIn
import scala.util.Try

case class Point(x: Int, y: Int)

object Main {
  def hot(rounds: Int): Long = {
    var total = 0L
    var i = 0
    while (i < rounds) { total = (total * 31 + i) % 1000003; i += 1 }
    total
  }

  def depth(n: Int): Int = if (n == 0) 0 else 1 + depth(n - 1)

  def main(arguments: Array[String]): Unit = {
    println("input " + StdIn.readLine())
    println("hot " + hot(3000000))
    println("threads " + Await.result(Future.sequence((1 to 8).map(n => Future(n * n))), 60.seconds).sum)
    val counts = mutable.HashMap[Int, Int]()
    for (n <- 0 until 100000) counts(n % 1000) = counts.getOrElse(n % 1000, 0) + 1
    println("maps " + counts.size + " " + counts.values.sum)
    println("caught " + Try(1 / (arguments.length)).isFailure + " " + depth(100000))
    println("big " + BigInt(2).pow(1000) % 1000000007)
    val pattern = "([a-z]+)(\\d+)".r
    println("text " + ("bb22" match { case pattern(letters, digits) => digits + letters }))
    println("points " + List(Point(2, 1), Point(1, 2)).sortBy(_.x).head)
    Thread.sleep(5)
    Files.write(Paths.get("note.txt"), "kept".getBytes)
    println("file " + new String(Files.readAllBytes(Paths.get("note.txt"))))
    println("x" * 200000)
    println("done")
  }
}
