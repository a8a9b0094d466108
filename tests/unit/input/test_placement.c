#include "input/placement.h"

#include <errno.h>

#include "test.h"

static const char *hostname_variable;

static const char *variable(const char *name)
{
    return strcmp(name, "HOSTNAME") == 0 ? hostname_variable : NULL;
}

static const struct input_env env = {.clock = &clock_system, .stop_fd = -1, .getenv = variable};

static int read_text(struct arena *a, const char *text, struct placement *ret, struct error *err)
{
    struct uri *uri = arena_alloc(a, sizeof(*uri));
    assert_ok(uri_parse(a, str_of(text), uri, err), err);
    return placement_read(uri, &env, a, ret, err);
}

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        int32_t gpus[5];
        uint32_t n; // 9: refused
    } rows[] = {
        {"x:", {0}, 0},
        {"x:?gpus=0", {0}, 1},
        {"x:?gpus=0-3", {0, 1, 2, 3}, 4},
        {"x:?gpus=1,3-4, 7", {1, 3, 4, 7}, 4},
        {"x:?gpus=65535", {65535}, 1},
        {"x:?gpus=65536", {0}, 9},
        {"x:?gpus=0-128", {0}, 9},
        {"x:?gpus=3-1", {0}, 9},
        {"x:?gpus=0,0", {0}, 9},
        {"x:?gpus=2,1", {0}, 9},
        {"x:?gpus=-1", {0}, 9},
        {"x:?gpus=1-", {0}, 9},
        {"x:?gpus=1,,2", {0}, 9},
        {"x:?gpus=a", {0}, 9},
        {"x:?gpus=1.5", {0}, 9},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct placement p;
        struct error err;
        int r = read_text(&a, rows[i].uri, &p, &err);
        if ((rows[i].n == 9) != (r == -EINVAL) || (r == 0 && p.n_gpus != rows[i].n)) {
            fail_msg("%s: %d, %u GPUs", rows[i].uri, r, p.n_gpus);
        }
        for (uint32_t k = 0; r == 0 && k < rows[i].n; k++) {
            assert_i64(p.gpus[k], rows[i].gpus[k]);
        }
        arena_done(&a);
    }
}

static void test_host(void **state)
{
    (void)state;
    struct arena a = {0};
    struct placement p;
    struct error err;
    hostname_variable = "node-7";
    assert_ok(read_text(&a, "x:", &p, &err), &err);
    assert_str(p.host, "node-7");
    assert_ok(read_text(&a, "x:?host=gpu-01", &p, &err), &err);
    assert_str(p.host, "gpu-01");
    hostname_variable = NULL;
    assert_ok(read_text(&a, "x:", &p, &err), &err);
    assert_true(p.host.n > 0);
    arena_done(&a);
}

static void test_instance(void **state)
{
    (void)state;
    struct arena a = {0};
    struct placement p;
    struct error err;
    assert_ok(read_text(&a, "x:?gpus=2&instance=7", &p, &err), &err);
    assert_i64(p.instance, 7);
    assert_ok(read_text(&a, "x:?gpus=2", &p, &err), &err);
    assert_i64(p.instance, GPU_INSTANCE_NONE);
    assert_i64(read_text(&a, "x:?gpus=2,3&instance=7", &p, &err), -EINVAL);
    assert_i64(read_text(&a, "x:?instance=7", &p, &err), -EINVAL);
    arena_done(&a);
}

// What the record says wins; a host of its own is not given another host's GPUs.
static void test_apply(void **state)
{
    (void)state;
    static const struct {
        const char *host, *tenant; // of the record
        const char *placed_host, *placed_tenant;
        uint32_t n;
    } rows[] = {
        {NULL, NULL, "gpu-01", "search", 2},
        {NULL, "chat", "gpu-01", "chat", 2},
        {"gpu-01", NULL, "gpu-01", "search", 2},
        {"gpu-02", NULL, "gpu-02", "search", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a = {0};
        struct placement p;
        struct error err;
        assert_ok(read_text(&a, "x:?host=gpu-01&gpus=0,3&tenant=search", &p, &err), &err);
        struct record r = {.kind = RECORD_USAGE};
        r.usage.model = STR("m");
        r.usage.gpu_instance = GPU_INSTANCE_NONE;
        r.usage.host = str_of(rows[i].host);
        r.usage.tenant = str_of(rows[i].tenant);
        placement_apply(&p, &r, &a);
        assert_str(r.usage.host, rows[i].placed_host);
        assert_str(r.usage.tenant, rows[i].placed_tenant);
        assert_i64(r.usage.n_gpus, rows[i].n);
        assert_true(r.digest == record_digest(&r));
        arena_done(&a);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_lists), TEST(test_host), TEST(test_instance), TEST(test_apply));
}
