print(500, flush=True)
raise SystemExit(1) if input() != "correct" else SystemExit(0)
