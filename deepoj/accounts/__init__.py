"""Rules for names and passwords of accounts, created over HTTP or by a command. No IO."""
