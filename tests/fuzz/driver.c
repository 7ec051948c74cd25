/* What libFuzzer does, small enough for any compiler: feeds a target all files of its corpus, then changed ones for some
 * seconds. No coverage guides it, so it finds less; `make fuzz` uses the real one.
 *
 * usage: <target> SECONDS SEED DIRECTORY */
#define _GNU_SOURCE
#include <dirent.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_FILES 256U
#define MAX_BYTES 4096U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct seed {
    uint8_t bytes[MAX_BYTES];
    size_t size;
} seeds[MAX_FILES];
static size_t seed_count;
static uint64_t state;

static uint32_t number(uint32_t below) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return below == 0 ? 0 : (uint32_t)(state >> 33) % below;
}

/* In memory of exactly its size, so that a byte beyond it is seen. */
static void feed(const uint8_t *bytes, size_t size) {
    uint8_t *exact = malloc(size > 0 ? size : 1);

    if (exact == NULL)
        exit(2);
    memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void load(const char *directory) {
    DIR *list = opendir(directory);
    struct dirent *entry;

    while (list != NULL && seed_count < MAX_FILES && (entry = readdir(list)) != NULL) {
        char path[4096];
        FILE *file;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        file = fopen(path, "rb");
        if (file == NULL)
            exit(2);
        seeds[seed_count].size = fread(seeds[seed_count].bytes, 1, MAX_BYTES, file);
        seed_count++;
        fclose(file);
    }
    if (list != NULL)
        closedir(list);
}

static void change(struct seed *seed) {
    static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, ' ', '\n', ')', '\\'};
    size_t at = number((uint32_t)seed->size + 1);

    switch (number(6)) {
    case 0: /* a bit */
        if (at < seed->size)
            seed->bytes[at] ^= (uint8_t)(1U << number(8));
        break;
    case 1: /* an edge */
        if (at < seed->size)
            seed->bytes[at] = edges[number(sizeof edges)];
        break;
    case 2: /* cut */
        seed->size = at;
        break;
    case 3: /* take out */
        if (at < seed->size) {
            size_t count = 1 + number((uint32_t)(seed->size - at));

            memmove(seed->bytes + at, seed->bytes + at + count, seed->size - at - count);
            seed->size -= count;
        }
        break;
    case 4: /* put in */
        if (seed->size < MAX_BYTES) {
            memmove(seed->bytes + at + 1, seed->bytes + at, seed->size - at);
            seed->bytes[at] = (uint8_t)number(256);
            seed->size++;
        }
        break;
    default: { /* a piece of another */
        const struct seed *other = &seeds[number((uint32_t)seed_count)];
        size_t from = number((uint32_t)other->size + 1);
        size_t count = number((uint32_t)(other->size - from) + 1);

        count = count < MAX_BYTES - at ? count : MAX_BYTES - at;
        memcpy(seed->bytes + at, other->bytes + from, count);
        seed->size = seed->size > at + count ? seed->size : at + count;
    }
    }
}

int main(int argc, char **argv) {
    static struct seed now;
    time_t end;
    uint64_t fed = 0;

    if (argc != 4)
        return 2;
    state = strtoull(argv[2], NULL, 10);
    load(argv[3]);
    if (seed_count == 0)
        return 2;
    for (size_t i = 0; i < seed_count; i++)
        feed(seeds[i].bytes, seeds[i].size);
    for (end = time(NULL) + strtol(argv[1], NULL, 10); time(NULL) < end;)
        for (int round = 0; round < 1000; round++, fed++) {
            now = seeds[number((uint32_t)seed_count)];
            for (uint32_t changes = 1 + number(8); changes > 0; changes--)
                change(&now);
            feed(now.bytes, now.size);
        }
    printf("%zu files of the corpus and %" PRIu64 " changed ones\n", seed_count, fed);
    return 0;
}
