// The inventories of seed: the JSON taken apart, the GPUs in it, and the samples made of them.
#include "fuzz.h"

#include <assert.h>
#include <unistd.h>

#include "input/inventory.h"
#include "input/json_scan.h"
#include "model/validate.h"
#include "reading.h"

enum { SAMPLES_SECONDS = 3, FEW = 64 };

static bool inside(struct str part, struct str whole)
{
    return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

static void walk(struct str text)
{
    struct json_walk w;
    struct str key, value;
    if (json_walk_begin(&w, text, '{')) {
        while (json_walk_member(&w, &key, &value)) {
            assert(inside(key, text) && inside(value, text) && value.n > 0);
        }
    }
    if (json_walk_begin(&w, text, '[')) {
        while (json_walk_element(&w, &value)) {
            assert(inside(value, text) && value.n > 0);
        }
    }
}

static void check_gpus(const struct inventory *inv)
{
    assert(inv->n > 0 && inv->n <= INVENTORY_GPUS_MAX);
    for (uint32_t i = 0; i < inv->n && i < FEW; i++) {
        struct error why;
        struct record r = {.kind = RECORD_SAMPLE, .sample = inv->gpus[i]};
        assert(record_check(&r, &why) == 0);
        for (uint32_t k = 0; k < i; k++) {
            assert(gpu_key_cmp(&inv->gpus[k].gpu, &inv->gpus[i].gpu) != 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct arena arena = {0};
    struct inventory inv;
    struct error err = {0};
    struct reading r;
    walk(text);
    int parsed = inventory_parse(&arena, text, STR("h"), &inv, &err);
    int fd = memory_file(data, size);
    reading_from(&r, "seed", fd, "?duration=3s&host=h", 0);
    assert((r.result == INPUT_END) == (parsed == 0));
    if (parsed == 0) {
        check_gpus(&inv);
        assert(r.n == (size_t)inv.n * SAMPLES_SECONDS && r.n_dead == 0);
    } else {
        assert(err.code == parsed && err.msg[0] != '\0');
    }
    reading_done(&r);
    close(fd);
    arena_done(&arena);
    return 0;
}
