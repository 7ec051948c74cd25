"""Rules for names, addresses and passwords of accounts, and for lists of them: over HTTP and by commands. No IO."""
