/* A header for checkers, interactors and validators written in C++: the interface that problem setters know by this
 * file's name, written anew for Deep-OJ.
 *
 *     #include "testlib.h"
 *
 *     int main(int argc, char *argv[]) {
 *         registerTestlibCmd(argc, argv);
 *         int expected = ans.readInt(), found = ouf.readInt(-1000, 1000, "sum");
 *         if (expected != found)
 *             quitf(_wa, "expected %d, found %d", expected, found);
 *         quitf(_ok, "%d", found);
 *     }
 *
 * Whose fault is what a stream holds? Of `ouf` the contestant's: it is Wrong Answer or wrong format. Of `inf` and `ans`
 * the setter's: whatever verdict is given to them becomes FAIL.
 *
 * Exit codes: 0 ok, 1 wrong answer, 2 wrong format, 3 fail, 4 right but more behind it, 7 points (the first word of the
 * message), 16 + n partially (_pc(n)). A program that ends without a verdict fails. */
#ifndef _TESTLIB_H_
#define _TESTLIB_H_

#include <algorithm>
#include <cassert>
#include <cctype>
#include <cerrno>
#include <climits>
#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#if defined(__GNUC__)
#define TESTLIB_PRINTF(format_at, first) __attribute__((format(printf, format_at, first)))
#define NORETURN __attribute__((noreturn))
#else
#define TESTLIB_PRINTF(format_at, first)
#define NORETURN
#endif

#define LF ((char)10)
#define CR ((char)13)
#define TAB ((char)9)
#define SPACE ((char)' ')
#define EOFC (255)

#ifndef OK_EXIT_CODE
#define OK_EXIT_CODE 0
#endif
#ifndef WA_EXIT_CODE
#define WA_EXIT_CODE 1
#endif
#ifndef PE_EXIT_CODE
#define PE_EXIT_CODE 2
#endif
#ifndef FAIL_EXIT_CODE
#define FAIL_EXIT_CODE 3
#endif
#ifndef DIRT_EXIT_CODE
#define DIRT_EXIT_CODE 4
#endif
#ifndef POINTS_EXIT_CODE
#define POINTS_EXIT_CODE 7
#endif
#ifndef UNEXPECTED_EOF_EXIT_CODE
#define UNEXPECTED_EOF_EXIT_CODE 8
#endif
#ifndef PC_BASE_EXIT_CODE
#define PC_BASE_EXIT_CODE 16
#endif

enum TResult {
    _ok = 0,
    _wa = 1,
    _pe = 2,
    _fail = 3,
    _dirt = 4,
    _points = 5,
    _unexpected_eof = 8,
    _partially = 16
};
#define _pc(exitCode) (TResult(_partially + (exitCode)))

enum TMode { _input, _output, _answer };
enum TTestlibMode { _unknown, _checker, _validator, _generator, _interactor, _scorer };

/* ---- text -------------------------------------------------------------------------------------------------------- */

namespace testlib_detail {

inline std::string vformat(const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    int length = std::vsnprintf(nullptr, 0, fmt, args);
    std::string text(length > 0 ? (size_t)length + 1 : 1, '\0');
    std::vsnprintf(&text[0], text.size(), fmt, again);
    va_end(again);
    text.resize(text.size() - 1);
    return text;
}

inline std::string shown(char c) {
    if (c >= 32 && c < 127)
        return std::string("'") + c + "'";
    char text[16];
    std::snprintf(text, sizeof text, "#%d", (int)(unsigned char)c);
    return text;
}

} // namespace testlib_detail

/* the text that printf would print */
TESTLIB_PRINTF(1, 2) inline std::string format(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    std::string text = testlib_detail::vformat(fmt, args);
    va_end(args);
    return text;
}

inline std::string format(const std::string fmt, ...) {
    va_list args;
    va_start(args, fmt);
    std::string text = testlib_detail::vformat(fmt.c_str(), args);
    va_end(args);
    return text;
}

template <typename T> inline std::string toString(const T &value) {
    std::ostringstream stream;
    stream.precision(16);
    stream << value;
    return stream.str();
}

template <typename T> inline std::string vtos(const T &value) {
    return toString(value);
}

inline std::string trim(const std::string &s) {
    size_t from = 0, to = s.size();
    while (from < to && std::isspace((unsigned char)s[from]))
        from++;
    while (to > from && std::isspace((unsigned char)s[to - 1]))
        to--;
    return s.substr(from, to - from);
}

inline std::string upperCase(std::string s) {
    for (char &c : s)
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
    return s;
}

inline std::string lowerCase(std::string s) {
    for (char &c : s)
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
    return s;
}

/* the beginning and the end of a long text */
inline std::string compress(const std::string &s) {
    return s.size() <= 64 ? s : s.substr(0, 31) + "..." + s.substr(s.size() - 30);
}

/* "st", "nd", "rd", "th" */
inline std::string englishEnding(int x) {
    x = std::abs(x % 100);
    if (x / 10 == 1)
        return "th";
    return x % 10 == 1 ? "st" : x % 10 == 2 ? "nd" : x % 10 == 3 ? "rd" : "th";
}

/* all parts between separators, empty ones too */
inline std::vector<std::string> split(const std::string &s, char separator) {
    std::vector<std::string> parts(1);
    for (char c : s)
        if (c == separator)
            parts.push_back("");
        else
            parts.back() += c;
    return parts;
}

inline std::vector<std::string> split(const std::string &s, const std::string &separators) {
    std::vector<std::string> parts(1);
    for (char c : s)
        if (separators.find(c) != std::string::npos)
            parts.push_back("");
        else
            parts.back() += c;
    return parts;
}

namespace testlib_detail {

inline std::vector<std::string> without_empty(const std::vector<std::string> &parts) {
    std::vector<std::string> kept;
    for (const std::string &part : parts)
        if (!part.empty())
            kept.push_back(part);
    return kept;
}

} // namespace testlib_detail

/* the parts that are not empty */
inline std::vector<std::string> tokenize(const std::string &s, char separator) {
    return testlib_detail::without_empty(split(s, separator));
}

inline std::vector<std::string> tokenize(const std::string &s, const std::string &separators) {
    return testlib_detail::without_empty(split(s, separators));
}

template <typename Iterator> inline std::string join(Iterator first, Iterator last, const std::string &separator) {
    std::ostringstream stream;
    for (bool begun = false; first != last; ++first, begun = true)
        stream << (begun ? separator : std::string()) << *first;
    return stream.str();
}

template <typename Iterator> inline std::string join(Iterator first, Iterator last, char separator = ' ') {
    return join(first, last, std::string(1, separator));
}

template <typename Collection> inline std::string join(const Collection &items, const std::string &separator) {
    return join(items.begin(), items.end(), separator);
}

template <typename Collection> inline std::string join(const Collection &items, char separator = ' ') {
    return join(items.begin(), items.end(), std::string(1, separator));
}

inline bool isEof(int c) {
    return c == EOFC || c == EOF;
}

inline bool isEoln(int c) {
    return c == LF || c == CR;
}

inline bool isBlanks(int c) {
    return c == LF || c == CR || c == SPACE || c == TAB;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

template <typename T> inline T __testlib_abs(const T &x) {
    return x > 0 ? x : -x;
}

template <typename T> inline T __testlib_min(const T &a, const T &b) {
    return a < b ? a : b;
}

template <typename T> inline T __testlib_max(const T &a, const T &b) {
    return a > b ? a : b;
}

inline bool __testlib_isNaN(double x) {
    return std::isnan(x);
}

inline bool __testlib_isInfinite(double x) {
    return std::isinf(x);
}

inline bool isNaN(double x) {
    return std::isnan(x);
}

inline bool isInfinite(double x) {
    return std::isinf(x);
}

/* whether the result is within the absolute or the relative error; a NaN or an infinity only equals itself */
inline bool doubleCompare(double expected, double result, double MAX_DOUBLE_ERROR) {
    MAX_DOUBLE_ERROR += 1E-15; /* an error of just the size passes, however its last bit was rounded */
    if (std::isnan(expected))
        return std::isnan(result);
    if (std::isinf(expected))
        return expected == result;
    if (!std::isfinite(result))
        return false;
    if (std::fabs(result - expected) <= MAX_DOUBLE_ERROR)
        return true;
    double one = expected * (1.0 - MAX_DOUBLE_ERROR), other = expected * (1.0 + MAX_DOUBLE_ERROR);
    return result >= std::min(one, other) && result <= std::max(one, other);
}

/* the absolute or the relative error, whichever is smaller */
inline double doubleDelta(double expected, double result) {
    double absolute = std::fabs(result - expected);
    return std::fabs(expected) > 1E-9 ? std::min(absolute, std::fabs(absolute / expected)) : absolute;
}

namespace testlib_detail {

/* an optional minus and digits without a superfluous zero */
inline bool to_integer(const std::string &s, long long &value) {
    size_t at = !s.empty() && s[0] == '-' ? 1 : 0;
    if (at == s.size() || s.size() > 20 || (s[at] == '0' && s.size() > 1))
        return false;
    for (size_t i = at; i < s.size(); i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    errno = 0;
    value = std::strtoll(s.c_str(), nullptr, 10);
    return errno == 0;
}

inline bool to_unsigned(const std::string &s, unsigned long long &value) {
    if (s.empty() || s.size() > 20 || (s[0] == '0' && s.size() > 1))
        return false;
    for (char c : s)
        if (c < '0' || c > '9')
            return false;
    errno = 0;
    value = std::strtoull(s.c_str(), nullptr, 10);
    return errno == 0;
}

/* decimal, with or without an exponent; no inf, nan or hexadecimal */
inline bool to_double(const std::string &s, double &value) {
    bool digit = false;
    for (char c : s) {
        digit = digit || (c >= '0' && c <= '9');
        if (!(c >= '0' && c <= '9') && std::strchr("+-.eE", c) == nullptr)
            return false;
    }
    if (!digit || s.find('\0') != std::string::npos)
        return false;
    char *end = nullptr;
    value = std::strtod(s.c_str(), &end);
    return *end == '\0' && std::isfinite(value);
}

/* an optional minus, digits, and a point with so many digits behind it */
inline bool to_strict_double(const std::string &s, double &value, int min_after, int max_after) {
    size_t at = !s.empty() && s[0] == '-' ? 1 : 0, point = s.find('.');
    std::string whole = s.substr(at, point == std::string::npos ? std::string::npos : point - at);
    std::string after = point == std::string::npos ? "" : s.substr(point + 1);
    if (whole.empty() || (whole[0] == '0' && whole.size() > 1) || (point != std::string::npos && after.empty()))
        return false;
    if ((int)after.size() < min_after || (int)after.size() > max_after)
        return false;
    for (char c : whole + after)
        if (c < '0' || c > '9')
            return false;
    return to_double(s, value);
}

} // namespace testlib_detail

/* ---- random numbers ---------------------------------------------------------------------------------------------- */

class pattern;

/* Not the numbers of the original: what is drawn differs, how it is spread does not. */
class random_t {
  public:
    random_t() : seed(3905348978240129619ULL) {
    }

    void setSeed(long long value) {
        seed = mixed((unsigned long long)value);
    }

    /* of the command line: the same words draw the same numbers */
    void setSeed(int argc, char *argv[]) {
        seed = 3905348978240129619ULL;
        for (int i = 1; i < argc; i++) {
            for (const char *c = argv[i]; *c != '\0'; c++)
                seed = mixed(seed ^ (unsigned char)*c);
            seed = mixed(seed ^ 0x100U);
        }
    }

    /* 0 ≤ x < 1 */
    double next() {
        return (double)(draw() >> 11) * (1.0 / 9007199254740992.0);
    }

    int next(int n) {
        return (int)below((unsigned long long)positive(n));
    }

    unsigned int next(unsigned int n) {
        return (unsigned int)below(positive(n));
    }

    long long next(long long n) {
        return (long long)below((unsigned long long)positive(n));
    }

    unsigned long long next(unsigned long long n) {
        return below(positive(n));
    }

    long next(long n) {
        return (long)below((unsigned long long)positive(n));
    }

    unsigned long next(unsigned long n) {
        return (unsigned long)below(positive(n));
    }

    /* 0 ≤ x < n */
    double next(double n) {
        return n * next();
    }

    /* both ends included */
    int next(int from, int to) {
        return (int)((long long)from + (long long)span(from, to));
    }

    unsigned int next(unsigned int from, unsigned int to) {
        return from + (unsigned int)span((long long)from, (long long)to);
    }

    long long next(long long from, long long to) {
        return (long long)((unsigned long long)from + span(from, to));
    }

    long next(long from, long to) {
        return (long)next((long long)from, (long long)to);
    }

    unsigned long long next(unsigned long long from, unsigned long long to) {
        return to - from == ULLONG_MAX ? draw() : from + below(to - from + 1);
    }

    double next(double from, double to) {
        return from + (to - from) * next();
    }

    char next(char from, char to) {
        return (char)next((int)from, (int)to);
    }

    /* a string that the pattern matches */
    inline std::string next(const std::string &ptrn);
    inline std::string next(const pattern &p);

    TESTLIB_PRINTF(2, 3) std::string next(const char *fmt, ...) {
        va_list args;
        va_start(args, fmt);
        std::string text = testlib_detail::vformat(fmt, args);
        va_end(args);
        return next(text);
    }

    /* the largest of `type` + 1 draws, or the smallest of 1 - `type` */
    template <typename T> T wnext(T n, int type) {
        T best = next(n);
        for (int i = 0; i < std::abs(type); i++)
            best = type > 0 ? std::max(best, next(n)) : std::min(best, next(n));
        return best;
    }

    template <typename T> T wnext(T from, T to, int type) {
        T best = next(from, to);
        for (int i = 0; i < std::abs(type); i++)
            best = type > 0 ? std::max(best, next(from, to)) : std::min(best, next(from, to));
        return best;
    }

    template <typename Container> typename Container::value_type any(const Container &c) {
        typename Container::const_iterator it = c.begin();
        std::advance(it, next((int)c.size()));
        return *it;
    }

    template <typename Iterator>
    typename std::iterator_traits<Iterator>::value_type any(Iterator first, Iterator last) {
        std::advance(first, next((int)std::distance(first, last)));
        return *first;
    }

    /* of 0, 1, …, size - 1, or from `first` on */
    template <typename T> std::vector<T> perm(T size, T first) {
        std::vector<T> items((size_t)size);
        for (size_t i = 0; i < items.size(); i++) {
            items[i] = first + (T)i;
            std::swap(items[i], items[(size_t)next((long long)i + 1)]);
        }
        return items;
    }

    template <typename T> std::vector<T> perm(T size) {
        return perm(size, T(0));
    }

  private:
    unsigned long long seed;

    /* splitmix64 */
    static unsigned long long mixed(unsigned long long x) {
        x += 0x9e3779b97f4a7c15ULL;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
        return x ^ (x >> 31);
    }

    unsigned long long draw() {
        seed += 0x9e3779b97f4a7c15ULL;
        return mixed(seed);
    }

    unsigned long long below(unsigned long long n) {
        unsigned long long limit = ULLONG_MAX - ULLONG_MAX % n, x;
        do
            x = draw();
        while (x >= limit);
        return x % n;
    }

    unsigned long long span(long long from, long long to) {
        unsigned long long width = (unsigned long long)to - (unsigned long long)from;
        if (from > to)
            impossible();
        return width == ULLONG_MAX ? draw() : below(width + 1);
    }

    template <typename T> T positive(T n) {
        if (!(n > 0))
            impossible();
        return n;
    }

    inline void impossible();
};

/* ---- patterns ---------------------------------------------------------------------------------------------------- */

/* `[a-z]`, `[^0-9]`, `(one|two)`, `{3}`, `{1,5}`, `{2,}`, `?`, `*`, `+`, `\` before a character that is meant itself.
 * The whole string has to match. Matching follows all ways at once, so that its time does not explode. */
class pattern {
  public:
    explicit pattern(const std::string &source) : source_(source) {
        size_t at = 0;
        root_ = alternatives(at);
        if (at != source_.size())
            wrong();
    }

    bool matches(const std::string &s) const {
        std::vector<char> starts(s.size() + 1, 0);
        starts[0] = 1;
        return ends(root_, s, starts)[s.size()] != 0;
    }

    std::string next(random_t &random) const {
        std::string made;
        generate(root_, random, made);
        return made;
    }

    std::string src() const {
        return source_;
    }

  private:
    struct Item;
    typedef std::vector<Item> Sequence;
    typedef std::vector<Sequence> Choice;

    struct Item {
        std::vector<char> set; /* which of 256 characters; empty: a group */
        Choice group;
        size_t min = 1, max = 1;
    };

    std::string source_;
    Choice root_;

    inline void wrong() const;

    Choice alternatives(size_t &at) const {
        Choice choice(1);
        while (at < source_.size() && source_[at] != ')') {
            if (source_[at] == '|') {
                at++;
                choice.push_back(Sequence());
            } else
                choice.back().push_back(item(at));
        }
        return choice;
    }

    Item item(size_t &at) const {
        Item made;
        if (source_[at] == '(') {
            at++;
            made.group = alternatives(at);
            if (at == source_.size())
                wrong();
            at++;
        } else if (source_[at] == '[')
            made.set = set(at);
        else {
            made.set.assign(256, 0);
            made.set[(unsigned char)literal(at)] = 1;
        }
        repetition(at, made);
        return made;
    }

    char literal(size_t &at) const {
        if (source_[at] == '\\' && ++at == source_.size())
            wrong();
        return source_[at++];
    }

    std::vector<char> set(size_t &at) const {
        std::vector<char> chars(256, 0);
        at++;
        bool inverted = at < source_.size() && source_[at] == '^';
        at += inverted;
        while (at < source_.size() && source_[at] != ']') {
            unsigned char from = (unsigned char)literal(at), to = from;
            if (at + 1 < source_.size() && source_[at] == '-' && source_[at + 1] != ']') {
                at++;
                to = (unsigned char)literal(at);
            }
            if (from > to)
                wrong();
            for (unsigned c = from; c <= to; c++)
                chars[c] = 1;
        }
        if (at == source_.size())
            wrong();
        at++;
        if (inverted)
            for (char &c : chars)
                c = !c;
        return chars;
    }

    void repetition(size_t &at, Item &made) const {
        if (at == source_.size())
            return;
        char c = source_[at];
        if (c == '?' || c == '*' || c == '+') {
            at++;
            made.min = c == '+' ? 1 : 0;
            made.max = c == '?' ? 1 : SIZE_MAX;
        } else if (c == '{') {
            at++;
            made.min = made.max = count(at);
            if (at < source_.size() && source_[at] == ',') {
                at++;
                made.max = at < source_.size() && source_[at] == '}' ? SIZE_MAX : count(at);
            }
            if (at == source_.size() || source_[at] != '}' || made.min > made.max)
                wrong();
            at++;
        }
    }

    size_t count(size_t &at) const {
        size_t value = 0, from = at;
        for (; at < source_.size() && source_[at] >= '0' && source_[at] <= '9'; at++)
            value = value * 10 + (size_t)(source_[at] - '0');
        if (at == from || at - from > 12)
            wrong();
        return value;
    }

    static std::vector<char> ends(const Choice &choice, const std::string &s, const std::vector<char> &starts) {
        std::vector<char> all(s.size() + 1, 0);
        for (const Sequence &sequence : choice) {
            std::vector<char> places = starts;
            for (const Item &item : sequence)
                places = item.set.empty() ? group_ends(item, s, places) : set_ends(item, s, places);
            for (size_t i = 0; i <= s.size(); i++)
                all[i] = all[i] || places[i];
        }
        return all;
    }

    static std::vector<char> group_ends(const Item &item, const std::string &s, std::vector<char> places) {
        std::vector<char> all(s.size() + 1, 0);
        for (size_t times = 0;; times++) {
            bool gain = false;
            for (size_t i = 0; i <= s.size(); i++)
                if (places[i] && times >= item.min && !all[i])
                    all[i] = gain = true;
            bool any = std::find(places.begin(), places.end(), 1) != places.end();
            if (!any || times == item.max || (times >= item.min && !gain) || times > item.min + s.size())
                return all;
            places = ends(item.group, s, places);
        }
    }

    static std::vector<char> set_ends(const Item &item, const std::string &s, const std::vector<char> &places) {
        size_t size = s.size();
        std::vector<size_t> run(size + 1, 0);
        std::vector<long> change(size + 2, 0);
        for (size_t i = size; i-- > 0;)
            run[i] = item.set[(unsigned char)s[i]] ? run[i + 1] + 1 : 0;
        for (size_t i = 0; i <= size; i++) {
            size_t most = std::min(run[i], item.max);
            if (places[i] && item.min <= most) {
                change[i + item.min]++;
                change[i + most + 1]--;
            }
        }
        std::vector<char> all(size + 1, 0);
        long open = 0;
        for (size_t i = 0; i <= size; i++)
            all[i] = (open += change[i]) > 0;
        return all;
    }

    static void generate(const Choice &choice, random_t &random, std::string &made) {
        for (const Item &item : choice[(size_t)random.next((long long)choice.size())]) {
            size_t most = item.max == SIZE_MAX ? item.min + 16 : item.max;
            size_t times = (size_t)random.next((long long)item.min, (long long)most);
            std::string chars;
            for (int c = 0; !item.set.empty() && c < 256; c++)
                if (item.set[(size_t)c])
                    chars += (char)c;
            for (size_t i = 0; i < times; i++)
                if (item.set.empty())
                    generate(item.group, random, made);
                else
                    made += chars[(size_t)random.next((long long)chars.size())];
        }
    }
};

inline std::string random_t::next(const pattern &p) {
    return p.next(*this);
}

inline std::string random_t::next(const std::string &ptrn) {
    return pattern(ptrn).next(*this);
}

/* ---- streams ----------------------------------------------------------------------------------------------------- */

/* A file that is read byte by byte. `strict`, of a validator's input: nothing is skipped. */
struct InStream {
    TMode mode = _input;
    std::string name;
    bool strict = false;
    bool stdfile = false;
    bool opened = false;
    /* bytes of a message that are said, at most */
    size_t maxMessageLength = 32000;

    InStream() {
    }

    InStream(const InStream &) = delete;
    InStream &operator=(const InStream &) = delete;

    ~InStream() {
        close();
    }

    inline void init(const std::string &fileName, TMode mode_);
    inline void init(int fd, TMode mode_);
    void init(std::FILE *file, TMode mode_) {
        init(fileno(file), mode_);
    }

    void close() {
        if (fd > 2)
            ::close(fd);
        fd = -1;
        opened = false;
    }

    /* from the beginning again */
    inline void reset();

    /* -- characters; EOFC at the end */

    char curChar() {
        return fill() ? buffer[at] : (char)EOFC;
    }

    char nextChar() {
        return take();
    }

    char readChar() {
        if (!fill())
            quit(_unexpected_eof, "Unexpected end of file - character expected");
        return take();
    }

    char readChar(char c) {
        if (!fill() || buffer[at] != c)
            quits(_pe, "Unexpected character " + current() + ", but " + testlib_detail::shown(c) + " expected");
        return take();
    }

    char readSpace() {
        return readChar(SPACE);
    }

    void skipChar() {
        take();
    }

    void unreadChar(char c) {
        if (at > 0)
            at--;
        else
            buffer.insert(buffer.begin(), c), size++;
        buffer[at] = c;
        line -= c == LF;
    }

    bool eof() {
        return !fill();
    }

    /* skips what is left of blanks; whether that was all */
    bool seekEof() {
        skipBlanks();
        return eof();
    }

    bool eoln() {
        return !fill() || isEoln(buffer[at]);
    }

    bool seekEoln() {
        while (fill() && (buffer[at] == SPACE || buffer[at] == TAB))
            take();
        return eoln();
    }

    void nextLine() {
        readLine();
    }

    void skipBlanks() {
        while (fill() && isBlanks((unsigned char)buffer[at]))
            take();
    }

    void readEoln() {
        if (!strict)
            while (fill() && (buffer[at] == SPACE || buffer[at] == TAB))
                take();
        if (!fill() && !strict)
            return;
        if (!skip_eoln())
            quit(_pe, ("Expected EOLN, but " + current() + " found").c_str());
    }

    void readEof() {
        if (!strict)
            skipBlanks();
        if (!eof())
            quit(_pe, ("Expected EOF, but " + current() + " found").c_str());
        ended = true;
    }

    /* -- words: everything up to a blank */

    void readWordTo(std::string &result) {
        if (!strict)
            skipBlanks();
        if (!fill())
            quit(_unexpected_eof, "Unexpected end of file - token expected");
        if (isBlanks((unsigned char)buffer[at]))
            quit(_pe, "Unexpected white-space - token expected");
        result.clear();
        while (fill() && !isBlanks((unsigned char)buffer[at]))
            result += take();
    }

    void readWordTo(std::string &result, const pattern &p, const std::string &variable = "") {
        readWordTo(result);
        if (!p.matches(result))
            quit(_wa, (what("Token", variable, result) + " doesn't correspond to pattern \"" + compress(p.src()) + "\"")
                          .c_str());
    }

    void readWordTo(std::string &result, const std::string &ptrn, const std::string &variable = "") {
        readWordTo(result, pattern(ptrn), variable);
    }

    void readTokenTo(std::string &result) {
        readWordTo(result);
    }

    void readTokenTo(std::string &result, const pattern &p, const std::string &variable = "") {
        readWordTo(result, p, variable);
    }

    void readTokenTo(std::string &result, const std::string &ptrn, const std::string &variable = "") {
        readWordTo(result, ptrn, variable);
    }

    std::string readWord() {
        std::string word;
        readWordTo(word);
        return word;
    }

    std::string readWord(const pattern &p, const std::string &variable = "") {
        std::string word;
        readWordTo(word, p, variable);
        return word;
    }

    std::string readWord(const std::string &ptrn, const std::string &variable = "") {
        return readWord(pattern(ptrn), variable);
    }

    std::string readToken() {
        return readWord();
    }

    std::string readToken(const pattern &p, const std::string &variable = "") {
        return readWord(p, variable);
    }

    std::string readToken(const std::string &ptrn, const std::string &variable = "") {
        return readWord(ptrn, variable);
    }

    std::vector<std::string> readWords(int count, const std::string &ptrn, const std::string &variable = "",
                                       int indexBase = 1) {
        pattern p(ptrn);
        return many<std::string>(count, variable, indexBase, [&](const std::string &one) { return readWord(p, one); });
    }

    std::vector<std::string> readWords(int count, int indexBase = 1) {
        return many<std::string>(count, "", indexBase, [&](const std::string &) { return readWord(); });
    }

    std::vector<std::string> readTokens(int count, const std::string &ptrn, const std::string &variable = "",
                                        int indexBase = 1) {
        return readWords(count, ptrn, variable, indexBase);
    }

    std::vector<std::string> readTokens(int count, int indexBase = 1) {
        return readWords(count, indexBase);
    }

    /* -- whole numbers */

    long long readLong() {
        long long value = 0;
        std::string word = readWord();
        if (!testlib_detail::to_integer(word, value))
            quit(_pe, ("Expected integer, but \"" + compress(word) + "\" found").c_str());
        return value;
    }

    long long readLong(long long from, long long to, const std::string &variable = "") {
        return ranged("Integer", readLong(), from, to, variable);
    }

    unsigned long long readUnsignedLong() {
        unsigned long long value = 0;
        std::string word = readWord();
        if (!testlib_detail::to_unsigned(word, value))
            quit(_pe, ("Expected unsigned integer, but \"" + compress(word) + "\" found").c_str());
        return value;
    }

    unsigned long long readUnsignedLong(unsigned long long from, unsigned long long to,
                                        const std::string &variable = "") {
        return ranged("Unsigned integer", readUnsignedLong(), from, to, variable);
    }

    unsigned long long readLong(unsigned long long from, unsigned long long to, const std::string &variable = "") {
        return readUnsignedLong(from, to, variable);
    }

    int readInt() {
        std::string word = readWord();
        long long value = 0;
        if (!testlib_detail::to_integer(word, value) || value < INT_MIN || value > INT_MAX)
            quit(_pe, ("Expected int32, but \"" + compress(word) + "\" found").c_str());
        return (int)value;
    }

    int readInt(int from, int to, const std::string &variable = "") {
        return ranged("Integer", readInt(), from, to, variable);
    }

    int readInteger() {
        return readInt();
    }

    int readInteger(int from, int to, const std::string &variable = "") {
        return readInt(from, to, variable);
    }

    std::vector<int> readInts(int count, int from, int to, const std::string &variable = "", int indexBase = 1) {
        return many<int>(count, variable, indexBase, [&](const std::string &one) { return readInt(from, to, one); });
    }

    std::vector<int> readInts(int count, int indexBase = 1) {
        return many<int>(count, "", indexBase, [&](const std::string &) { return readInt(); });
    }

    std::vector<int> readIntegers(int count, int from, int to, const std::string &variable = "", int indexBase = 1) {
        return readInts(count, from, to, variable, indexBase);
    }

    std::vector<int> readIntegers(int count, int indexBase = 1) {
        return readInts(count, indexBase);
    }

    std::vector<long long> readLongs(int count, long long from, long long to, const std::string &variable = "",
                                     int indexBase = 1) {
        return many<long long>(count, variable, indexBase,
                               [&](const std::string &one) { return readLong(from, to, one); });
    }

    std::vector<long long> readLongs(int count, int indexBase = 1) {
        return many<long long>(count, "", indexBase, [&](const std::string &) { return readLong(); });
    }

    std::vector<unsigned long long> readUnsignedLongs(int count, unsigned long long from, unsigned long long to,
                                                      const std::string &variable = "", int indexBase = 1) {
        return many<unsigned long long>(count, variable, indexBase,
                                        [&](const std::string &one) { return readUnsignedLong(from, to, one); });
    }

    std::vector<unsigned long long> readUnsignedLongs(int count, int indexBase = 1) {
        return many<unsigned long long>(count, "", indexBase, [&](const std::string &) { return readUnsignedLong(); });
    }

    /* -- real numbers */

    double readDouble() {
        double value = 0;
        std::string word = readWord();
        if (!testlib_detail::to_double(word, value))
            quit(_pe, ("Expected double, but \"" + compress(word) + "\" found").c_str());
        return value;
    }

    double readDouble(double from, double to, const std::string &variable = "") {
        return ranged("Double", readDouble(), from, to, variable);
    }

    double readReal() {
        return readDouble();
    }

    double readReal(double from, double to, const std::string &variable = "") {
        return readDouble(from, to, variable);
    }

    double readStrictDouble(double from, double to, int minAfterPoint, int maxAfterPoint,
                            const std::string &variable = "") {
        double value = 0;
        std::string word = readWord();
        if (!testlib_detail::to_strict_double(word, value, minAfterPoint, maxAfterPoint))
            quit(_pe, format("Expected strict double with %d to %d digits after the point, but \"%s\" found",
                             minAfterPoint, maxAfterPoint, compress(word).c_str())
                          .c_str());
        return ranged("Strict double", value, from, to, variable);
    }

    double readStrictReal(double from, double to, int minAfterPoint, int maxAfterPoint,
                          const std::string &variable = "") {
        return readStrictDouble(from, to, minAfterPoint, maxAfterPoint, variable);
    }

    std::vector<double> readDoubles(int count, double from, double to, const std::string &variable = "",
                                    int indexBase = 1) {
        return many<double>(count, variable, indexBase,
                            [&](const std::string &one) { return readDouble(from, to, one); });
    }

    std::vector<double> readDoubles(int count, int indexBase = 1) {
        return many<double>(count, "", indexBase, [&](const std::string &) { return readDouble(); });
    }

    std::vector<double> readReals(int count, double from, double to, const std::string &variable = "",
                                  int indexBase = 1) {
        return readDoubles(count, from, to, variable, indexBase);
    }

    std::vector<double> readReals(int count, int indexBase = 1) {
        return readDoubles(count, indexBase);
    }

    std::vector<double> readStrictDoubles(int count, double from, double to, int minAfterPoint, int maxAfterPoint,
                                          const std::string &variable = "", int indexBase = 1) {
        return many<double>(count, variable, indexBase, [&](const std::string &one) {
            return readStrictDouble(from, to, minAfterPoint, maxAfterPoint, one);
        });
    }

    std::vector<double> readStrictReals(int count, double from, double to, int minAfterPoint, int maxAfterPoint,
                                        const std::string &variable = "", int indexBase = 1) {
        return readStrictDoubles(count, from, to, minAfterPoint, maxAfterPoint, variable, indexBase);
    }

    /* -- lines, without their ends */

    void readLineTo(std::string &result) {
        if (!fill())
            quit(_unexpected_eof, "Expected line");
        result.clear();
        while (fill() && !isEoln(buffer[at]))
            result += take();
        if (!skip_eoln() && strict)
            quit(_pe, "Expected EOLN");
    }

    void readLineTo(std::string &result, const pattern &p, const std::string &variable = "") {
        readLineTo(result);
        if (!p.matches(result))
            quit(_wa, (what("Line", variable, result) + " doesn't correspond to pattern \"" + compress(p.src()) + "\"")
                          .c_str());
    }

    void readLineTo(std::string &result, const std::string &ptrn, const std::string &variable = "") {
        readLineTo(result, pattern(ptrn), variable);
    }

    void readStringTo(std::string &result) {
        readLineTo(result);
    }

    void readStringTo(std::string &result, const pattern &p, const std::string &variable = "") {
        readLineTo(result, p, variable);
    }

    void readStringTo(std::string &result, const std::string &ptrn, const std::string &variable = "") {
        readLineTo(result, ptrn, variable);
    }

    std::string readLine() {
        std::string text;
        readLineTo(text);
        return text;
    }

    std::string readLine(const pattern &p, const std::string &variable = "") {
        std::string text;
        readLineTo(text, p, variable);
        return text;
    }

    std::string readLine(const std::string &ptrn, const std::string &variable = "") {
        return readLine(pattern(ptrn), variable);
    }

    std::string readString() {
        return readLine();
    }

    std::string readString(const pattern &p, const std::string &variable = "") {
        return readLine(p, variable);
    }

    std::string readString(const std::string &ptrn, const std::string &variable = "") {
        return readLine(ptrn, variable);
    }

    std::vector<std::string> readLines(int count, int indexBase = 1) {
        return many_lines(count, indexBase, [&](const std::string &) { return readLine(); });
    }

    std::vector<std::string> readLines(int count, const std::string &ptrn, const std::string &variable = "",
                                       int indexBase = 1) {
        pattern p(ptrn);
        return many_lines(count, indexBase, [&](const std::string &one) { return readLine(p, one); }, variable);
    }

    std::vector<std::string> readStrings(int count, int indexBase = 1) {
        return readLines(count, indexBase);
    }

    std::vector<std::string> readStrings(int count, const std::string &ptrn, const std::string &variable = "",
                                         int indexBase = 1) {
        return readLines(count, ptrn, variable, indexBase);
    }

    /* -- verdicts about what this stream holds */

    NORETURN inline void quit(TResult result, const char *message);
    NORETURN TESTLIB_PRINTF(3, 4) void quitf(TResult result, const char *fmt, ...) {
        va_list args;
        va_start(args, fmt);
        std::string message = testlib_detail::vformat(fmt, args);
        va_end(args);
        quit(result, message.c_str());
    }

    TESTLIB_PRINTF(4, 5) void quitif(bool condition, TResult result, const char *fmt, ...) {
        if (!condition)
            return;
        va_list args;
        va_start(args, fmt);
        std::string message = testlib_detail::vformat(fmt, args);
        va_end(args);
        quit(result, message.c_str());
    }

    NORETURN void quits(TResult result, const std::string &message) {
        quit(result, message.c_str());
    }

    /* a validator has read the whole of it */
    bool ended = false;
    int line = 1;

  private:
    int fd = -1;
    std::string path;
    std::vector<char> buffer;
    size_t at = 0, size = 0;

    /* Whether there is a character. What has come is given out at once: the other side of a pipe may wait for us. */
    inline bool fill();

    char take() {
        if (!fill())
            return (char)EOFC;
        line += buffer[at] == LF;
        return buffer[at++];
    }

    std::string current() {
        return fill() ? testlib_detail::shown(buffer[at]) : std::string("EOF");
    }

    bool skip_eoln() {
        if (fill() && buffer[at] == CR)
            take();
        if (!fill() || buffer[at] != LF)
            return false;
        take();
        return true;
    }

    static std::string what(const char *kind, const std::string &variable, const std::string &value) {
        std::string text = std::string(kind) + " ";
        if (!variable.empty())
            text += "parameter [name=" + variable + "] equals to ";
        return text + "\"" + compress(value) + "\"" + (variable.empty() ? "" : ",");
    }

    template <typename T> T ranged(const char *kind, T value, T from, T to, const std::string &variable) {
        if (!(from <= value && value <= to))
            quit(_wa, (what(kind, variable, toString(value)) + " violates the range [" + toString(from) + ", " +
                       toString(to) + "]")
                          .c_str());
        return value;
    }

    template <typename T, typename Read>
    std::vector<T> many(int count, const std::string &variable, int base, Read read) {
        std::vector<T> all;
        for (int i = 0; i < count; i++) {
            all.push_back(read(variable.empty() ? variable : variable + "[" + toString(i + base) + "]"));
            if (strict && i + 1 < count)
                readSpace();
        }
        return all;
    }

    template <typename Read>
    std::vector<std::string> many_lines(int count, int base, Read read, const std::string &variable = "") {
        std::vector<std::string> all;
        for (int i = 0; i < count; i++)
            all.push_back(read(variable.empty() ? variable : variable + "[" + toString(i + base) + "]"));
        return all;
    }
};

/* ---- the program ------------------------------------------------------------------------------------------------- */

class Validator {
  public:
    std::string testset() const {
        return testset_;
    }
    std::string group() const {
        return group_;
    }
    std::string testOverviewLogFileName() const {
        return "";
    }
    void setTestset(const char *const value) {
        testset_ = value;
    }
    void setGroup(const char *const value) {
        group_ = value;
    }
    void addFeature(const std::string &) {
    }
    void feature(const std::string &) {
    }

  private:
    std::string testset_ = "tests", group_;
};

namespace testlib_detail {

struct Program {
    TTestlibMode mode = _unknown;
    bool decided = false;
    std::string checker;
    int test_case = 0;
    bool has_test_case = false;
    double points = 0;
    bool has_points = false;
};

template <typename> struct Globals {
    static Program program;
    static InStream inf, ouf, ans;
    static random_t rnd;
    static std::fstream tout;
    static Validator validator;
};

template <typename T> Program Globals<T>::program;
template <typename T> InStream Globals<T>::inf;
template <typename T> InStream Globals<T>::ouf;
template <typename T> InStream Globals<T>::ans;
template <typename T> random_t Globals<T>::rnd;
template <typename T> std::fstream Globals<T>::tout;
template <typename T> Validator Globals<T>::validator;

inline Program &program() {
    return Globals<void>::program;
}

} // namespace testlib_detail

static InStream &inf = testlib_detail::Globals<void>::inf;
static InStream &ouf = testlib_detail::Globals<void>::ouf;
static InStream &ans = testlib_detail::Globals<void>::ans;
static random_t &rnd = testlib_detail::Globals<void>::rnd;
static std::fstream &tout = testlib_detail::Globals<void>::tout;
static Validator &validator = testlib_detail::Globals<void>::validator;
static TTestlibMode &testlibMode = testlib_detail::Globals<void>::program.mode;

namespace testlib_detail {

inline int exit_code(TResult result) {
    switch (result) {
    case _ok:
        return OK_EXIT_CODE;
    case _wa:
        return WA_EXIT_CODE;
    case _pe:
        return PE_EXIT_CODE;
    case _dirt:
        return DIRT_EXIT_CODE;
    case _points:
        return POINTS_EXIT_CODE;
    case _unexpected_eof:
        return UNEXPECTED_EOF_EXIT_CODE;
    case _fail:
        return FAIL_EXIT_CODE;
    default:
        return result >= _partially ? PC_BASE_EXIT_CODE + (result - _partially) : FAIL_EXIT_CODE;
    }
}

inline std::string heading(TResult result) {
    switch (result) {
    case _ok:
        return "ok ";
    case _wa:
        return "wrong answer ";
    case _pe:
    case _dirt:
        return "wrong output format ";
    case _points:
        return "points ";
    case _unexpected_eof:
        return "unexpected eof ";
    default:
        return result >= _partially ? format("partially correct (%d) ", (int)(result - _partially)) : "FAIL ";
    }
}

/* the fewest digits, never an exponent */
inline std::string points_text(double points) {
    std::string text = format("%.10f", points);
    text.erase(text.find_last_not_of('0') + 1);
    return text.back() == '.' ? text.substr(0, text.size() - 1) : text;
}

/* Says it and ends the program, past all destructors: those of the checker's own objects have no say any more. */
NORETURN inline void end(TResult result, std::string message, size_t most) {
    Program &program = testlib_detail::program();
    program.decided = true;
    if (message.size() > most)
        message = message.substr(0, most) + "...";
    if (program.has_test_case && result != _ok)
        message = format("test case %d: ", program.test_case) + message;
    if (result == _points)
        message = points_text(program.points) + (message.empty() ? "" : " ") + message;
    std::cout.flush();
    std::fflush(stdout);
    if (tout.is_open())
        tout.close();
    std::fprintf(stderr, "%s%s\n", heading(result).c_str(), message.c_str());
    std::fflush(stderr);
    std::_Exit(exit_code(result));
}

/* Whoever is to give a verdict and does not has failed; a validator says yes by reading to the end. */
inline void at_exit() {
    Program &program = testlib_detail::program();
    if (program.decided || program.mode == _unknown || program.mode == _generator)
        return;
    if (program.mode == _validator && inf.ended)
        return;
    end(_fail, program.mode == _validator ? "ended without inf.readEof()" : "ended without a verdict", 32000);
}

inline void begin(TTestlibMode mode) {
    program().mode = mode;
    std::atexit(at_exit);
}

} // namespace testlib_detail

inline void InStream::init(const std::string &fileName, TMode mode_) {
    mode = mode_;
    path = fileName;
    name = mode_ == _input ? "input file" : mode_ == _output ? "output file" : "answer file";
    fd = ::open(fileName.c_str(), O_RDONLY | O_CLOEXEC);
    opened = fd >= 0;
    if (fd < 0 && mode_ == _output)
        quit(_pe, ("Output file not found: \"" + compress(fileName) + "\"").c_str());
    if (fd < 0)
        quit(_fail, ("File not found: \"" + compress(fileName) + "\"").c_str());
}

inline void InStream::init(int descriptor, TMode mode_) {
    mode = mode_;
    name = mode_ == _input ? "input file" : mode_ == _output ? "output file" : "answer file";
    fd = descriptor;
    opened = stdfile = true;
}

inline void InStream::reset() {
    if (stdfile)
        quit(_fail, "a stream of the terminal cannot be read again");
    close();
    buffer.clear();
    at = size = 0;
    line = 1;
    init(path, mode);
}

inline bool InStream::fill() {
    if (at < size)
        return true;
    if (fd < 0)
        return false;
    at = size = 0;
    buffer.resize(1 << 16);
    for (;;) {
        ssize_t count = ::read(fd, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            testlib_detail::end(_fail, "cannot read the " + name, maxMessageLength);
        size = (size_t)count;
        return count > 0;
    }
}

inline void InStream::quit(TResult result, const char *message) {
    std::string text = message;
#ifndef ENABLE_UNEXPECTED_EOF
    if (result == _unexpected_eof)
        result = _pe;
#endif
    if (mode != _output && result != _fail) {
        if (mode == _input && testlibMode == _validator)
            text += format(" (%s, line %d)", name.c_str(), line);
        else
            text += " (" + name + ")";
        result = _fail;
    }
    bool is_whole = result == _ok || result == _points || result >= _partially;
    if (is_whole && testlibMode == _checker && ouf.opened && !ouf.seekEof()) {
        result = _dirt;
        text = "Extra information in the output file";
    }
    testlib_detail::end(result, text, maxMessageLength);
}

inline void pattern::wrong() const {
    testlib_detail::end(_fail, "this is no pattern: \"" + compress(source_) + "\"", 32000);
}

inline void random_t::impossible() {
    testlib_detail::end(_fail, "a random number was asked from nothing", 32000);
}

/* ---- verdicts ---------------------------------------------------------------------------------------------------- */

NORETURN inline void quit(TResult result, const std::string &message) {
    ouf.mode = _output;
    ouf.quit(result, message.c_str());
}

NORETURN inline void quit(TResult result, const char *message = "") {
    quit(result, std::string(message));
}

NORETURN TESTLIB_PRINTF(2, 3) inline void quitf(TResult result, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    std::string message = testlib_detail::vformat(fmt, args);
    va_end(args);
    quit(result, message);
}

TESTLIB_PRINTF(3, 4) inline void quitif(bool condition, TResult result, const char *fmt, ...) {
    if (!condition)
        return;
    va_list args;
    va_start(args, fmt);
    std::string message = testlib_detail::vformat(fmt, args);
    va_end(args);
    quit(result, message);
}

template <typename F> NORETURN inline void quitp(F points, const std::string &message = "") {
    testlib_detail::program().points = (double)points;
    quit(_points, message);
}

template <typename F> NORETURN TESTLIB_PRINTF(2, 3) inline void quitp(F points, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    std::string message = testlib_detail::vformat(fmt, args);
    va_end(args);
    quitp(points, message);
}

TESTLIB_PRINTF(2, 3) inline void ensuref(bool condition, const char *fmt, ...) {
    if (condition)
        return;
    va_list args;
    va_start(args, fmt);
    std::string message = testlib_detail::vformat(fmt, args);
    va_end(args);
    quit(_fail, message);
}

inline void __testlib_ensure(bool condition, const std::string &message) {
    if (!condition)
        quit(_fail, message);
}

#undef ensure
#define ensure(condition) __testlib_ensure((condition), "Condition failed: \"" #condition "\"")
#define ensure_ext(condition) __testlib_ensure((condition), "Condition failed: \"" #condition "\"")

/* ---- beginnings -------------------------------------------------------------------------------------------------- */

TESTLIB_PRINTF(1, 2) inline void setName(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    testlib_detail::program().checker = testlib_detail::vformat(fmt, args);
    va_end(args);
}

inline void setTestCase(int testCase) {
    testlib_detail::program().test_case = testCase;
    testlib_detail::program().has_test_case = true;
}

inline void unsetTestCase() {
    testlib_detail::program().has_test_case = false;
}

/* a checker: input, output, answer */
inline void registerTestlibCmd(int argc, char *argv[]) {
    testlib_detail::begin(_checker);
    if (argc < 4)
        testlib_detail::end(_fail, "run it as: checker <input-file> <output-file> <answer-file>", 32000);
    inf.init(argv[1], _input);
    ans.init(argv[3], _answer);
    ouf.init(argv[2], _output);
}

/* an interactor: input, a file for its own output (`tout`), the answer; it speaks with the program by stdin, stdout */
inline void registerInteraction(int argc, char *argv[]) {
    testlib_detail::begin(_interactor);
    if (argc < 3)
        testlib_detail::end(_fail, "run it as: interactor <input-file> <output-file> [<answer-file>]", 32000);
    inf.init(argv[1], _input);
    tout.open(argv[2], std::ios_base::out);
    if (!tout.is_open())
        testlib_detail::end(_fail, "cannot write the file " + std::string(argv[2]), 32000);
    ouf.init(STDIN_FILENO, _output);
    if (argc > 3)
        ans.init(argv[3], _answer);
    else
        ans.name = "answer file that was not given";
}

/* a validator of stdin */
inline void registerValidation() {
    testlib_detail::begin(_validator);
    inf.init(STDIN_FILENO, _input);
    inf.name = "stdin";
    inf.strict = true;
}

inline void registerValidation(int argc, char *argv[]) {
    registerValidation();
    for (int i = 1; i + 1 < argc; i++) {
        if (std::strcmp(argv[i], "--testset") == 0)
            validator.setTestset(argv[i + 1]);
        if (std::strcmp(argv[i], "--group") == 0)
            validator.setGroup(argv[i + 1]);
    }
}

inline void registerGen(int argc, char *argv[], int randomGeneratorVersion = 1) {
    (void)randomGeneratorVersion;
    testlib_detail::begin(_generator);
    rnd.setSeed(argc, argv);
}

template <typename Iterator> inline void shuffle(Iterator first, Iterator last) {
    if (first == last)
        return;
    for (Iterator i = first + 1; i != last; ++i)
        std::iter_swap(i, first + rnd.next((long long)(i - first) + 1));
}

#endif
