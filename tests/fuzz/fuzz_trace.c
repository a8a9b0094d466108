// The foreign text of src/input: lines of traces, inventories of GPUs, JSON taken apart.
#include "fuzz.h"

#include <assert.h>

#include "base/time.h"
#include "input/inventory.h"
#include "input/json_scan.h"
#include "input/trace_format.h"

static void lines(struct str text)
{
    struct str first;
    struct trace_layout layout;
    if (!str_split(&text, '\n', &first) || !trace_recognise(first, &layout)) {
        return;
    }
    for (struct str line; str_split(&text, '\n', &line);) {
        struct trace_request r;
        struct error err = {0};
        if (trace_parse(&layout, line, &r, &err) < 0) {
            assert(err.code < 0 && err.msg[0] != '\0');
            continue;
        }
        assert(r.time >= 0 && r.time < TIME_MAX);
        assert(r.prompt >= 0 && r.prompt <= TRACE_PROMPT_MAX);
        assert(r.output >= 0 && r.output <= TRACE_OUTPUT_MAX);
        assert(!str_present(r.model) || (r.model.p >= line.p && r.model.n <= line.n));
    }
}

static bool inside(struct str part, struct str whole)
{
    return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

static void json(struct str text)
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

static void inventory(struct str text)
{
    struct arena arena = {0};
    struct inventory inv;
    struct error err = {0};
    if (inventory_parse(&arena, text, STR("h"), &inv, &err) == 0) {
        assert(inv.n > 0 && inv.n <= INVENTORY_GPUS_MAX);
        for (uint32_t i = 1; i < inv.n && i < 16; i++) {
            assert(gpu_key_cmp(&inv.gpus[i - 1].gpu, &inv.gpus[i].gpu) != 0);
        }
    } else {
        assert(err.code < 0 && err.msg[0] != '\0');
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    lines(text);
    json(text);
    inventory(text);
    return 0;
}
