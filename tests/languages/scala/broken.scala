object Main { def main(a: Array[String]): Unit = undeclared }
