"""The API and its HTTP server, mostly over fakes: what each route answers, and to whom."""
