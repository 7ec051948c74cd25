"""What holds for an account wherever it is made, over HTTP or by a command: its name, its password. No IO."""
