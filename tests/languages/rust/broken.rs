fn main() { undeclared(); }
