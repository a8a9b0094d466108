#include "input/inventory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "input/json_scan.h"
#include "model/decode.h"

const char inventory_built_in[] =
    "[{\"name\":\"NVIDIA GeForce RTX 3090\",\"gpu_index\":0,\"utilization\":0.42,"
    "\"mem_used_mb\":9830,\"mem_total_mb\":24576,\"power_w\":214,\"temperature_c\":61,"
    "\"sm_clock_mhz\":1695,\"price_per_hour_usd\":0.85},"
    "{\"name\":\"NVIDIA A100-SXM4-40GB\",\"gpu_index\":1,\"utilization\":0.67,"
    "\"mem_used_mb\":28740,\"mem_total_mb\":40960,\"power_w\":243,\"temperature_c\":54,"
    "\"sm_clock_mhz\":1410,\"price_per_hour_usd\":3.2}]";

// The array of GPUs: the text itself, or what an object has under "gpus".
static int begin_gpus(struct json_walk *w, struct str json, struct error *err)
{
    struct json_walk members;
    struct str key, value, gpus = STR_NONE;
    if (json_walk_begin(w, json, '[')) {
        return 0;
    }
    bool object = json_walk_begin(&members, json, '{');
    while (object && json_walk_member(&members, &key, &value)) {
        bool found = str_eq(key, STR("gpus"));
        if (found && str_present(gpus)) {
            return error_set(err, -EINVAL, "gpus: given twice");
        }
        gpus = found ? value : gpus;
    }
    bool good = object && !members.failed && str_present(gpus) && json_walk_begin(w, gpus, '[');
    return good ? 0 : error_set(err, -EINVAL, "not a JSON array of GPUs");
}

static void add_member(struct buf *b, const char *key)
{
    buf_char(b, b->n > 0 ? ',' : '{');
    buf_json_str(b, str_of(key));
    buf_char(b, ':');
}

// Writes a GPU as a whole sample: with the fields that an inventory may leave out.
static int complete(struct buf *b, struct str gpu, struct str host, uint32_t index,
                    struct error *err)
{
    struct json_walk w;
    struct str key, value;
    bool has_host = false, has_index = false;
    buf_clear(b);
    if (!json_walk_begin(&w, gpu, '{')) {
        return error_set(err, -EINVAL, "not an object");
    }
    add_member(b, "ts");
    buf_char(b, '0');
    while (json_walk_member(&w, &key, &value)) {
        bool absent = str_eq(value, STR("null"));
        has_host = has_host || (str_eq(key, STR("host")) && !absent);
        has_index = has_index || (str_eq(key, STR("gpu_index")) && !absent);
        if (!str_eq(key, STR("ts")) && !str_eq(key, STR("event_id")) && !absent) {
            buf_cstr(b, ",\"");
            buf_str(b, key);
            buf_cstr(b, "\":");
            buf_str(b, value);
        }
    }
    if (!has_host) {
        add_member(b, "host");
        buf_json_str(b, host);
    }
    if (!has_index) {
        add_member(b, "gpu_index");
        buf_u64(b, index);
    }
    buf_char(b, '}');
    return w.failed || !buf_ok(b) ? error_set(err, -EINVAL, "not JSON") : 0;
}

enum { INDEX_WORDS = RECORD_GPU_INDEX_MAX / 64 + 1 };

static bool same_group(const struct gpu_key *a, const struct gpu_key *b)
{
    return a->instance == b->instance && str_eq(a->host, b->host);
}

// The first index from `from` on that no bit says is taken; beyond RECORD_GPU_INDEX_MAX: none.
static int32_t next_free(const uint64_t *taken, int32_t from)
{
    int32_t i = from;
    while (i <= RECORD_GPU_INDEX_MAX && (taken[i / 64] >> (i % 64) & 1)) {
        i++;
    }
    return i;
}

static int add_gpu(struct inventory *inv, const struct gpu_sample *gpu, struct error *err)
{
    uint64_t taken[INDEX_WORDS] = {0};
    for (uint32_t i = 0; i < inv->n; i++) {
        const struct gpu_key *other = &inv->gpus[i].gpu;
        if (same_group(other, &gpu->gpu)) {
            taken[other->index / 64] |= UINT64_C(1) << (other->index % 64);
        }
    }
    int32_t index = next_free(taken, gpu->gpu.index);
    if (index > RECORD_GPU_INDEX_MAX) {
        return error_set(err, -EINVAL, "gpu_index: %d is taken, and so is every one above",
                         gpu->gpu.index);
    }
    inv->gpus[inv->n] = *gpu;
    inv->gpus[inv->n++].gpu.index = index;
    return 0;
}

static int parse_gpu(struct inventory *inv, struct decoder *d, struct arena *a, struct str text,
                     struct str host, struct buf *b, struct error *err)
{
    struct record record;
    int r = inv->n < INVENTORY_GPUS_MAX ? complete(b, text, host, inv->n, err)
                                        : error_set(err, -EINVAL, "too many");
    if (r < 0) {
        return r;
    }
    struct str whole = buf_view(b);
    if (buf_reserve(b, DECODER_PADDING) == NULL) {
        return error_set(err, -EINVAL, "too long");
    }
    whole.p = b->p;
    r = decoder_record(d, whole, a, &record, err);
    if (r < 0) {
        return r;
    }
    if (record.kind != RECORD_SAMPLE) {
        return error_set(err, -EINVAL, "a request, not a GPU");
    }
    return add_gpu(inv, &record.sample, err);
}

static int bad_end(const struct json_walk *w, uint32_t n_gpus, struct error *err)
{
    if (w->failed && n_gpus > 0) {
        return error_set(err, -EINVAL, "not JSON behind GPU %u", n_gpus);
    }
    return error_set(err, -EINVAL, w->failed ? "not JSON" : "no GPU in it");
}

static struct str without_byte_order_mark(struct str s)
{
    size_t n = str_starts(s, STR("\xef\xbb\xbf")) ? 3 : 0;
    return (struct str){s.p + n, s.n - n};
}

int inventory_parse(struct arena *a, struct str json, struct str host, struct inventory *ret,
                    struct error *err)
{
    struct json_walk w;
    struct str text;
    *ret = (struct inventory){0};
    int r = begin_gpus(&w, without_byte_order_mark(json), err);
    if (r < 0) {
        return r;
    }
    struct decoder *d = decoder_new();
    struct buf b;
    buf_init(&b, INVENTORY_BYTES_MAX);
    ret->gpus = arena_alloc(a, INVENTORY_GPUS_MAX * sizeof(ret->gpus[0]));
    while (r == 0 && json_walk_element(&w, &text)) {
        r = parse_gpu(ret, d, a, text, host, &b, err);
        if (r < 0) {
            error_prefix(err, "GPU %u", ret->n + 1);
        }
    }
    buf_done(&b);
    decoder_free(d);
    if (r == 0 && (w.failed || ret->n == 0)) {
        return bad_end(&w, ret->n, err);
    }
    return r;
}

static int read_all(int fd, struct buf *b)
{
    for (;;) {
        char *at = buf_reserve(b, INVENTORY_BYTES_MAX + 1 - b->n);
        ssize_t n = read(fd, at, INVENTORY_BYTES_MAX + 1 - b->n);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        b->n += n > 0 ? (size_t)n : 0;
        if (b->n > INVENTORY_BYTES_MAX) {
            return -EFBIG;
        }
        if (n == 0) {
            return 0;
        }
    }
}

int inventory_read(struct arena *a, const char *path, struct str host, struct inventory *ret,
                   struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct buf b;
    buf_init(&b, INVENTORY_BYTES_MAX + 1);
    int r = fd < 0 ? -errno : read_all(fd, &b);
    if (fd >= 0) {
        close(fd);
    }
    if (r < 0) {
        error_set(err, r, "'%s' cannot be read: %s", path, error_name(r));
    } else {
        r = inventory_parse(a, buf_view(&b), host, ret, err);
        r = r < 0 ? error_prefix(err, "'%s'", path) : r;
    }
    buf_done(&b);
    return r;
}
