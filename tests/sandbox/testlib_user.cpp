/* Speaks with testlib.h as setters do. The last word says which piece of it is looked at. */
#include "testlib.h"

#include <string>
#include <vector>

using namespace std;

/* what a careful checker does: one reader for the answer and for the output */
static long long readAnswer(InStream &stream) {
    long long sum = stream.readLong(-2000000000LL, 2000000000LL, "sum");
    if (sum == 13)
        stream.quitf(_wa, "13 is never right");
    return sum;
}

static void check(const string &piece) {
    setName("a look at %s", piece.c_str());
    int a = inf.readInt(), b = inf.readInt();
    if (piece == "sum") {
        long long expected = readAnswer(ans), found = readAnswer(ouf);
        if (expected != found)
            quitf(_wa, "%d plus %d is %lld, not %lld", a, b, expected, found);
        quitf(_ok, "%lld", found);
    }
    if (piece == "points") {
        ouf.readInt();
        quitp(a / 8.0, "of %d", b);
    }
    if (piece == "quitp-bare") {
        ouf.readInt();
        quitp(3);
    }
    if (piece == "partially") {
        ouf.readInt();
        quitf(_pc(50), "half");
    }
    if (piece == "double") {
        double expected = ans.readDouble(), found = ouf.readDouble();
        quitif(!doubleCompare(expected, found, 1e-6), _wa, "off by %.3f", doubleDelta(expected, found));
        quit(_ok, "near");
    }
    if (piece == "case") {
        setTestCase(3);
        quitf(_wa, "no");
    }
    if (piece == "line") {
        string first = ouf.readLine(), second = ouf.readString("[a-z ]{1,10}", "second");
        quitf(_ok, "'%s' '%s'", first.c_str(), second.c_str());
    }
    if (piece == "token") {
        string token = ouf.readToken("(yes|no){1,2}", "answer");
        quitf(_ok, "%s", upperCase(token).c_str());
    }
    if (piece == "many") {
        vector<int> all = ouf.readInts(3, 1, 9, "x");
        ouf.readEoln();
        ouf.readEof();
        quitf(_ok, "%s", join(all, '+').c_str());
    }
    if (piece == "chars") {
        char c = ouf.readChar();
        ouf.readSpace();
        string rest;
        while (!ouf.seekEoln())
            rest += ouf.readWord() + "|";
        quitf(_ok, "%c %s %d", c, rest.c_str(), (int)ouf.seekEof());
    }
    if (piece == "ensure")
        ensure(a > b);
    if (piece == "ensuref")
        ensuref(a > b, "%d is not above %d", a, b);
    if (piece == "fail")
        quitf(_fail, "the answer is wrong");
    if (piece == "silent")
        return;
    if (piece == "helpers") {
        ensure(vtos(12) == "12" && toString(0.5) == "0.5" && format("%03d", 7) == "007" && trim(" x\n") == "x");
        ensure(compress(string(100, 'x')).size() == 64 && compress("short") == "short");
        ensure(englishEnding(1) == "st" && englishEnding(12) == "th" && englishEnding(23) == "rd");
        ensure(split("a,,b", ',').size() == 3 && tokenize("a,,b", ',').size() == 2);
        ensure(lowerCase("aBC") == "abc" && isEoln('\n') && isBlanks(' ') && !isBlanks('x'));
        ensure(!doubleCompare(1, NAN, 1) && doubleCompare(1e9, 1e9 + 1, 1e-6) && !doubleCompare(0, 1e-5, 1e-6));
        ensure(pattern("[^a-c]+").matches("xyz") && !pattern("[^a-c]+").matches("xaz"));
        ensure(pattern("-?[1-9][0-9]{0,3}|0").matches("-1234") && !pattern("-?[1-9][0-9]{0,3}|0").matches("01"));
        ensure(pattern("(a|b*)*c").matches("aabbabc") && !pattern("(a|b*)*c").matches("aabbab"));
        ensure(pattern("[a-z]{1,200000}").matches(string(200000, 'q')));
        for (int i = 0; i < 1000; i++) {
            int x = rnd.next(3, 5);
            ensure(3 <= x && x <= 5 && rnd.next(7) < 7 && rnd.next() < 1 && rnd.wnext(10, 2) < 10);
            ensure(pattern("(x[0-9]{2,3}|yz?)").matches(rnd.next("(x[0-9]{2,3}|yz?)")));
        }
        vector<int> order = rnd.perm(5, 1);
        shuffle(order.begin(), order.end());
        sort(order.begin(), order.end());
        ensure(order == vector<int>({1, 2, 3, 4, 5}));
        ouf.readInt();
        quit(_ok, "all");
    }
    quitf(_fail, "no such piece");
}

int main(int argc, char *argv[]) {
    string piece = argv[argc - 1];
    if (piece == "validate") {
        registerValidation(argc, argv);
        int n = inf.readInt(1, 5, "n");
        inf.readEoln();
        inf.readInts(n, -9, 9, "a");
        inf.readEoln();
        inf.readEof();
        return 0;
    }
    if (piece == "validate-half") {
        registerValidation(argc, argv);
        inf.readInt();
        return 0;
    }
    if (piece == "guess") {
        registerInteraction(argc, argv);
        int secret = inf.readInt(), tries = 0;
        for (int guess = -1; guess != secret; tries++) {
            guess = ouf.readInt(1, 100, "guess");
            cout << (guess < secret ? "more" : guess > secret ? "less" : "right") << endl;
        }
        tout << tries << endl;
        quitf(_ok, "%d tries", tries);
    }
    registerTestlibCmd(argc, argv);
    check(piece);
}
