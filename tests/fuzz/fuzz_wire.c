/* Feeds wire.c: any input is refused or is a message, and a message is encoded to the very same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

static void feed_request(const uint8_t *data, size_t size) {
    static struct doj_request request;
    static unsigned char again[DOJ_MAX_MESSAGE];

    if (doj_decode_request(data, size, &request) != 0)
        return;
    must(request.argc > 0 && request.argv[request.argc] == NULL && request.env[request.envc] == NULL);
    must(doj_request_fds(&request) <= DOJ_MAX_FDS);
    if (size > sizeof again)
        return;
    must(doj_encode_request(&request, again, sizeof again) == (long)size && memcmp(again, data, size) == 0);
    /* with too little room nothing is written beyond it, at any length */
    for (size_t room = 0; room < size; room += 1 + size / 16) {
        unsigned char *tight = malloc(room + 1);

        must(tight != NULL && doj_encode_request(&request, tight, room) < 0);
        free(tight);
    }
}

static void feed_result(const uint8_t *data, size_t size) {
    struct doj_result result;
    unsigned char again[DOJ_RESULT_SIZE];

    if (doj_decode_result(data, size, &result) != 0)
        return;
    must(memchr(result.fault.step, 0, sizeof result.fault.step) != NULL);
    must(doj_encode_result(&result, again, sizeof again) == (long)size && memcmp(again, data, size) == 0);
}

static void feed_peek(const uint8_t *data, size_t size) {
    unsigned char again[64];
    uint64_t serial;
    int kind = doj_peek(data, size, &serial);

    must(kind < 0 || (kind >= DOJ_RUN && kind <= DOJ_RESULT));
    if (kind == DOJ_CANCEL)
        must(doj_encode_cancel(serial, again, sizeof again) <= (long)size && memcmp(again, data, 16) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    feed_peek(data, size);
    feed_request(data, size);
    feed_result(data, size);
    return 0;
}
