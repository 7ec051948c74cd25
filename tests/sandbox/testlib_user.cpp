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
    if (piece == "points-alone") {
        ouf.readInt();
        quitp(3);
    }
    if (piece == "partially") {
        ouf.readInt();
        quitf(_pc(50), "half");
    }
    if (piece == "format")
        quitf(_pe, "no format");
    if (piece == "dirt")
        quitf(_dirt, "more behind it");
    if (piece == "double") {
        double expected = ans.readDouble(), found = ouf.readDouble();
        quitif(!doubleCompare(expected, found, 1e-6), _wa, "off by %.3f", doubleDelta(expected, found));
        quit(_ok, "near");
    }
    if (piece == "case") {
        setTestCase(3);
        quitf(_wa, "no");
    }
    if (piece == "lines") {
        string first = ouf.readLine(), second = ouf.readString("[a-z]{1,10}", "second");
        quitf(_ok, "'%s' '%s'", first.c_str(), second.c_str());
    }
    if (piece == "token") {
        string token = ouf.readToken("yes|no", "answer");
        quitf(_ok, "%s", upperCase(token).c_str());
    }
    if (piece == "many") {
        vector<int> all = ouf.readInts(3, 1, 9, "x");
        quitif(!ouf.seekEof(), _wa, "more than three");
        quitf(_ok, "%d", all[0] + all[1] + all[2]);
    }
    if (piece == "ensure")
        ensuref(a > b, "%d is not above %d", a, b);
    if (piece == "fail")
        quitf(_fail, "the answer is wrong");
    if (piece == "silent")
        return;
    quitf(_fail, "no such piece");
}

int main(int argc, char *argv[]) {
    string piece = argv[--argc];
    if (piece == "validate") {
        registerValidation(argc, argv);
        inf.readInt(1, validator.group() == "small" ? 5 : 100, "n");
        inf.readEoln();
        inf.readEof();
    } else if (piece == "validate-half") {
        registerValidation(argc, argv);
        inf.readInt();
    } else if (piece == "generate") {
        registerGen(argc, argv, 1);
        println(opt<int>("n"), rnd.next(1, 1000000000), rnd.next("[a-z]{8}"), rnd.wnext(100, 5));
    } else if (piece == "guess") {
        registerInteraction(argc, argv);
        int secret = inf.readInt(), tries = 0;
        for (int guess = -1; guess != secret; tries++) {
            guess = ouf.readInt(1, 100, "guess");
            cout << (guess < secret ? "more" : guess > secret ? "less" : "right") << endl;
        }
        tout << tries << endl;
        quitf(_ok, "%d tries", tries);
    } else {
        registerTestlibCmd(argc, argv);
        check(piece);
    }
    return 0;
}
