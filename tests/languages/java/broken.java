public class Main { int x = undeclared; }
