"""The ports' contracts: the same tests over fakes and over real servers. Also commands that need a database."""
