"""What ordinary Python programs do (CPython and PyPy). The first line of the input says which; "done" at the end."""

import array
import asyncio
import bisect
import collections
import concurrent.futures
import ctypes
import datetime
import decimal
import fractions
import functools
import heapq
import io
import itertools
import json
import locale
import math
import mmap
import multiprocessing
import multiprocessing.shared_memory
import os
import pathlib
import queue
import random
import re
import secrets
import shutil
import signal
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zlib


def numbers():
    decimal.getcontext().prec = 50
    assert str(decimal.Decimal(2).sqrt()) == "1.4142135623730950488016887242096980785696718753769"
    assert fractions.Fraction(1, 3) + fractions.Fraction(1, 6) == fractions.Fraction(1, 2)
    assert pow(3, 10**30, 10**9 + 7) == pow(3, 10**30 % (10**9 + 6), 10**9 + 7)
    assert len(str(2**100000 % 10**4000)) <= 4000
    assert math.isqrt(10**40) == 10**20 and statistics.median([3, 1, 2]) == 2


def containers():
    values = [(i * 7919) % 1000003 for i in range(1000000)]
    values.sort()
    assert values == sorted(values) and bisect.bisect(values, 10) >= 10
    heap = values[:1000]
    heapq.heapify(heap)
    assert heapq.heappop(heap) == values[0]
    assert collections.Counter("banana").most_common(1) == [("a", 3)]
    assert sum(1 for _ in itertools.permutations(range(7))) == 5040
    grown = bytearray()
    for _ in range(300):
        grown += b"x" * 65536
    assert len(array.array("l", range(1000))) == 1000 and len(grown) == 300 * 65536
    assert functools.lru_cache(lambda n: n)(3) == 3


def text():
    assert re.findall(r"([a-z]+)(\d+)", "a1 bb22") == [("a", "1"), ("bb", "22")]
    assert re.sub(r"(?P<word>\w+)", lambda found: found["word"].upper(), "ü b") == "Ü B"
    assert json.loads(json.dumps({"a": [1, None, "é"]})) == {"a": [1, None, "é"]}
    assert zlib.decompress(zlib.compress(b"x" * 1000)) == b"x" * 1000 and struct.pack("<I", 1) == b"\1\0\0\0"
    locale.setlocale(locale.LC_ALL, "")
    assert sys.stdout.encoding.lower() == "utf-8"


def recursion():
    def depth(n):
        return 0 if n == 0 else 1 + depth(n - 1)

    found = []
    sys.setrecursionlimit(1 << 20)
    threading.stack_size(64 << 20)
    thread = threading.Thread(target=lambda: found.append(depth(20000)))
    thread.start()
    thread.join()
    assert found == [20000]
    sys.setrecursionlimit(1000)
    try:
        depth(1 << 20)
    except RecursionError:
        return
    raise AssertionError


def threads():
    line = queue.Queue()
    lock = threading.Lock()
    total = [0]

    def work():
        while (item := line.get()) is not None:
            with lock:
                total[0] += item

    team = [threading.Thread(target=work) for _ in range(4)]
    for thread in team:
        thread.start()
    for item in [*range(1000), None, None, None, None]:
        line.put(item)
    for thread in team:
        thread.join()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(abs, range(100))) == 4950
    rang = threading.Event()
    threading.Timer(0.01, rang.set).start()
    assert rang.wait(30) and total == [499500]


async def talk():
    async def one(n):
        await asyncio.sleep(0.001)
        return n

    assert sum(await asyncio.gather(*(one(n) for n in range(100)))) == 4950
    assert await asyncio.to_thread(abs, -3) == 3
    process = await asyncio.create_subprocess_exec("/bin/echo", "heard", stdout=asyncio.subprocess.PIPE)
    assert (await process.communicate())[0] == b"heard\n"
    reader, writer = await asyncio.open_unix_connection(sock=None, path="socket")
    writer.write(b"hello\n")
    assert await reader.readline() == b"HELLO\n"
    writer.close()


def loop():
    async def serve():
        async def answer(reader, writer):
            writer.write((await reader.readline()).upper())
            writer.close()

        server = await asyncio.start_unix_server(answer, "socket")
        async with server:
            await talk()

    asyncio.run(serve())


def children():
    done = subprocess.run(["/bin/cat"], input=b"through", stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"through"
    assert subprocess.run("echo a | tr a b", shell=True, stdout=subprocess.PIPE, check=True).stdout == b"b\n"
    assert subprocess.run([sys.executable, "-c", "raise SystemExit(3)"], check=False).returncode == 3
    assert os.popen("echo heard").read() == "heard\n" and os.WEXITSTATUS(os.system("exit 4")) == 4
    child = os.fork()
    if child == 0:
        os._exit(5)
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 5


def square(n):
    return n * n


def add(shared, line):
    with shared.get_lock():
        shared.value += 1
    line.put(os.getpid())


def pools():
    context = multiprocessing.get_context("fork")
    with context.Pool(3) as pool:
        assert pool.map(square, range(100)) == [n * n for n in range(100)]
    shared, line = context.Value("i", 0), context.Queue()
    team = [context.Process(target=add, args=(shared, line)) for _ in range(3)]
    for process in team:
        process.start()
    assert len({line.get() for _ in team}) == 3
    for process in team:
        process.join()
    assert shared.value == 3 and list(context.Array("d", [1.0, 2.0])) == [1.0, 2.0]
    block = multiprocessing.shared_memory.SharedMemory(create=True, size=4096)
    block.buf[0] = 7
    block.close()
    block.unlink()
    ours, theirs = context.Pipe()
    ours.send([1, 2])
    assert theirs.recv() == [1, 2]


def executor():
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(square, range(10))) == [n * n for n in range(10)]


def files():
    with tempfile.NamedTemporaryFile() as temporary, tempfile.TemporaryDirectory() as directory:
        temporary.write(b"kept")
        temporary.flush()
        assert pathlib.Path(temporary.name).read_text() == "kept"
        copied = shutil.copy2(temporary.name, directory)
        assert os.stat(copied).st_size == 4
        os.chmod(copied, 0o600)
        os.utime(copied)
        shutil.copytree(directory, "tree")
        os.link(copied, os.path.join(directory, "linked"))
    shutil.rmtree("tree")
    pathlib.Path("mapped").write_bytes(b"x" * 4096)
    with open("mapped", "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[0] = 65
    assert pathlib.Path("mapped").read_bytes()[0] == 65 and pathlib.Path.cwd().name == "w"
    with mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory[0] = 1
    with sqlite3.connect("data.db") as store:
        store.execute("CREATE TABLE t (n)")
        store.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(100)])
        assert store.execute("SELECT sum(n) FROM t").fetchone() == (4950,)
    store.close()


def world():
    assert random.Random(1).random() == 0.13436424411240122
    assert len(secrets.token_bytes(16)) == 16 and uuid.uuid4() != uuid.uuid4() and 0 <= random.random() < 1
    assert time.time() > 10**9 and time.perf_counter() >= 0 and time.process_time() >= 0 and time.thread_time() >= 0
    time.sleep(0.002)
    assert datetime.datetime.now().year > 2000 and os.cpu_count() > 0
    assert ctypes.CDLL(None).abs(-3) == 3
    rang = []
    signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.005)
    while not rang:
        time.sleep(0.001)
    assert os.getpid() > 1 and os.uname().sysname == "Linux" and os.path.expanduser("~")


def large_output():
    sys.stdout.write("x" * 200000 + "\n")
    print(*range(3), sep=",", flush=True)
    with io.open(1, "w", closefd=False) as again:
        again.write("ab\nc\n")


def hot():
    total = 0
    for i in range(3000000):
        total = (total * 31 + i) % 1000003
    assert total == 488037, total


MODES = (
    numbers, containers, text, recursion, threads, loop, children, pools, executor, files, world, large_output, hot,
)  # fmt: skip

if __name__ == "__main__":
    {mode.__name__: mode for mode in MODES}[input()]()
    print("done")
